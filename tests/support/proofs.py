"""Which test proves what docs/compatibility.md says: by section and row, `file::name` of tests.

A row is named by how its first cell begins, a test without ``test_``. A row that several tests
prove may name just the one that a reader should look at.
"""

from __future__ import annotations

from typing import Final

PROOFS: Final[dict[str, dict[str, str]]] = {
    "Package": {
        "`Client`, `Cluster`, `ClusterManager`": "public_surface::a_documented_call_is_taken "
        "compatibility::clusters_take_what_they_took",
        "`DirectView`, `LoadBalancedView`, `BroadcastView`": "compatibility::views_are_of_a_client",
        "`ViewExecutor`, `AsyncResult`": "client_scripts::an_executor_is_one_in_every_respect",
        "`Dependency`, `dependent`": "client_targeting::a_dependency_is_a_set_of_msg_ids",
        "`RemoteFunction`, `ParallelFunction`": "client_views::remote_and_parallel_functions",
        "`interactive`, `require`": "public_surface::a_documented_call_is_taken",
        "`IPythonError`": "error_module::all_errors_but_the_root_are_kernel_errors",
        "`UnmetDependency`": "client_dependents::a_dependency_that_no_engine_meets_is_impossible",
        "`RemoteError`": "error_module::all_errors_are_there",
        "`register_joblib_backend`": "joblib::a_backend_can_be_the_default",
        "`can`, `uncan`": "serialize_canning::what_is_canned_belongs_to_the_namespace_in_which_"
        "it_is_uncanned",
        "`use_dill`": "serialize_canning::what_only_dill_can_send_travels_where_it_is_asked_for",
        "`wrap_exception`": "error_module::an_exception_becomes_a_record_and_an_error_again",
        "`ALL_COMPLETED`": "compatibility::constants_are_those_of_python",
        "`can_map`": "serialize_canners::objects_are_found_at_any_depth",
        "`bind_kernel`": "bind_kernel_turns::cells_and_tasks_take_turns_and_their_output_is_kept_"
        "apart",
        "`_jupyter_server_extension_paths`": "jupyter_server::a_cluster_is_made_started_used_and_"
        "removed",
        "`_jupyter_labextension_paths`": "compatibility::there_is_no_code_for_browsers",
        "modules `error`": "error_module::submodules_are_there_without_importing_them",
        "modules `client.client`": "old_module_paths::a_module_has_the_names_that_are_looked_for",
        "modules `cluster`": "old_module_paths::a_module_is_there_without_importing_it",
        "module `client.magics`": "public_surface::a_documented_name_is_there",
        "module `datapub`": "datapub::what_cannot_be_published_is_an_error_at_the_call",
        "traits": "compatibility::what_is_left_out_is_not_there",
        "module `shellcmd`": "compatibility::what_is_left_out_is_not_there",
        "`IPP_NONINTERACTIVE=1`": "client_bars::a_user_can_turn_bars_off",
    },
    "Client": {
        "`Client(connection_info)`": "client_trouble::all_ways_to_name_the_file_lead_there",
        "a connection file that is not there": "seeking::who_waits_for_a_cluster_is_told_after_a_"
        "second seeking::a_file_that_a_killed_controller_left_is_as_good_as_none",
        "`adaptive.Runner(": "client_scripts::an_executor_is_a_pool_of_processes_to_those_who_ask_"
        "how_many_workers_it_has",
        "`url_file=`": "client_trouble::all_ways_to_name_the_file_lead_there",
        "`profile=`": "client_targeting::the_profile_and_the_cluster_id_name_the_file",
        "`context=`": "compatibility::a_client_may_share_a_context",
        "`sshserver=`": "tunnels::a_client_reaches_what_only_the_host_itself_does "
        "tunnels::a_cut_connection_loses_no_task",
        "`paramiko=`": "client_targeting::ssh_is_a_way_and_who_asks_for_paramiko_is_told",
        "an address of a cluster": "tunnels::a_url_is_enough",
        "keys from traits": "cli_errors::a_clients_key_is_no_engines_key",
        "a warning when": "security_connect::a_socket_of_another_host_is_not_tried",
        "`ids`, `len": "client_views::the_clusters_engines_are_known",
        "`cluster` of": "what_clients_say::a_client_that_connected_by_a_file_knows_its_cluster",
        "`abort` without": "what_clients_say::what_was_aborted_can_be_read",
        "`ids` once": "what_clients_say::a_shutdown_that_was_asked_for_is_no_loss",
        "`block`": "compatibility::a_client_says_what_it_is",
        "`session`": "compatibility::a_client_says_what_it_is",
        "`history`": "client_history::it_changes_as_a_list_does",
        "`outstanding`": "client_views::waiting_and_history",
        "`results`, `metadata`": "client_records::results_that_were_fetched_without_owning_them_"
        "are_kept",
        "`direct_view`": "compatibility::views_are_of_a_client",
        "`wait`": "client_views::waiting_and_history",
        "`abort`": "client_views::only_what_was_sent_to_an_engine_is_aborted_there",
        "`shutdown`": "client_trouble::engines_can_be_shut_down_alone",
        "`get_result`": "client_records::a_result_can_be_fetched_again",
        "a task that nobody knows": "client_records::what_there_is_not_is_a_key_error_of_the_hub",
        "an engine that is not there": "client_targeting::an_engine_that_is_not_there_is_an_index_"
        "error_that_names_those_there",
        "a record that was culled": "hub_recordqueries::a_culled_result_has_expired",
        "`resubmit`": "client_records::a_task_is_submitted_again_as_it_was",
        "`result_status`": "client_records::what_has_not_ended_is_waited_for",
        "`queue_status`": "client_views::queue_status",
        "`db_query`": "client_records::records_are_found_by_what_is_in_them",
        "`purge_local_results`": "client_records::what_is_outstanding_is_not_purged",
        "`spin`": "compatibility::what_only_warns_is_still_there",
        "`close`": "client_trouble::a_closed_client_says_so",
        "`activate`": "magics::several_views_have_magics_of_their_own",
        "`become_dask`": "dask::each_engine_is_a_worker_of_one_thread",
        "`stop_dask`": "dask::stopping_closes_the_clients_whose_scheduler_goes",
        "`send_apply_request`": "client_requests::an_engine_is_named_by_its_id_or_its_uuid",
        "`create_message_futures`": "compatibility::what_is_left_out_is_not_there",
        "the client closes": "client_trouble::an_ordered_shutdown_ends_everything_at_once",
        "widgets' messages": "widgets::a_widget_is_kept_with_its_last_state_beside_the_outputs",
    },
    "Views": {
        "flags `block`": "client_targeting::a_view_blocks_as_its_client_did_when_it_was_made",
        "`history`, `outstanding`": "client_views::waiting_and_history",
        "`view.blok": "compatibility::a_flag_that_is_misspelled_is_said_and_others_attributes_are_"
        "kept",
        "methods that are elsewhere": "compatibility::what_is_elsewhere_says_where",
        "`set_flags`": "client_targeting::temporary_flags_are_not_seen_by_other_threads",
        "`apply`": "serialize_main::a_function_brings_helpers_modules_and_constants_along",
        "`map`, `map_async`, `map_sync`, `imap` | better": "client_inputs::input_is_what_zip_gives",
        "Ctrl-C in a blocking call": "interrupts::the_calls_of_an_interrupted_statement_end",
        "`wait`, `abort`": "client_views::aborted_tasks_do_not_start",
        "`purge_results`": "client_records::a_view_purges_what_its_own_history_says",
        "`remote`": "ported_scripts::a_decorated_function_blocks_as_its_view_did_then",
        "`execute`": "client_views::source_text_runs_in_the_engines_namespace",
        "`push`": "client_views::variables_are_pushed_and_pulled",
        "`scatter`": "client_views::what_is_scattered_can_be_gathered",
        "`map`, `map_async`, `map_sync`, `imap` | kept": "client_views::a_direct_map_gives_each_"
        "engine_one_part",
        "`sync_imports`": "client_scripts::imports_of_a_block_happen_here_and_on_all_engines",
        "`use_dill`": "client_scripts::what_was_needed_once_is_accepted",
        "`clear`": "compatibility::what_gives_nothing_returns_none_where_it_blocks",
        "`activate`": "magics::several_views_have_magics_of_their_own",
        "flags `follow`": "client_targeting::flags_reach_the_scheduler",
        "`map`, `map_async`, `map_sync` with": "client_views::a_balanced_map_keeps_the_order",
        "`imap`": "client_views::imap_takes_endless_inputs_and_stays_bounded",
        "`register_joblib_backend`": "joblib::results_are_taken_as_they_come",
        "flags that the `pure`": "pure_scheme::calls_with_flags_that_need_decisions_fail_at_once",
        "a client of the `pure`": "pure_scheme::the_rest_works",
        "`is_coalescing`": "client_views::a_broadcast_view_is_a_direct_view_of_the_engines_there_"
        "are_now",
        "`submit`": "client_scripts::an_executor_is_one_in_every_respect",
        "`map` of an executor": "client_scripts::an_executor_maps",
        "`shutdown` of an executor": "client_scripts::what_has_not_started_can_be_aborted_at_"
        "shutdown",
        "`view`": "compatibility::an_executor_knows_its_view",
    },
    "Results": {
        "`msg_ids`": "client_asyncresult::metadata_of_several_is_a_list",
        "`get`": "client_asyncresult::it_works_with_the_functions_for_futures",
        "`wait`": "client_asyncresult::waiting_for_the_first_returns_what_is_done",
        "`wait_for_output`": "compatibility::a_result_tells_its_times_and_its_output",
        "`get_dict`": "client_asyncresult::one_engine_with_two_tasks_has_no_dict",
        "`abort`": "client_asyncresult::what_has_ended_cannot_be_cancelled_or_aborted",
        "`cancel`": "client_asyncresult::cancelling_gives_up_and_aborts",
        "`sent`": "client_asyncresult::arguments_are_sent_once_the_callers_memory_is_not_needed",
        "iteration": "asyncio::errors_come_in_their_turn",
        "`elapsed`": "compatibility::a_result_tells_its_times_and_its_output",
        "`wait_interactive`": "client_progress::a_failure_ends_the_wait_at_once_if_asked_for",
        "`split`": "client_asyncresult::joining_gives_one_result_of_several",
        "`stream_output`": "outputs::streamed_output_is_whole_and_says_where_it_comes_from",
        "`AsyncHubResult` asks": "client_records::what_has_not_ended_is_waited_for",
        "`ExecuteReply`": "ported_scripts::a_reply_of_a_cell_knows_its_task",
        "`msg_id`": "ported_scripts::metadata_of_plain_tasks_says_so",
        "`engine_uuid`": "client_asyncresult::metadata_tell_where_a_task_runs_once_that_is_known",
        "`error`": "ported_scripts::metadata_of_plain_tasks_says_so",
        "`execute_input`": "ported_scripts::metadata_of_plain_tasks_says_so",
        "`data`": "datapub::data_are_seen_while_the_task_runs_and_complete_with_the_result",
        "`is_broadcast`": "compatibility::what_is_left_out_is_not_there",
        "`RemoteError`": "serialize_failures::an_error_that_arrives_is_also_of_the_type_that_was_"
        "raised",
        "`CompositeError`": "client_asyncresult::failures_among_several_are_a_composite_error",
        "`EngineError`": "client_trouble::an_engine_that_dies_fails_its_tasks",
        "`TaskAborted`": "error_module::all_errors_but_the_root_are_kernel_errors",
        "a result that cannot be": "client_trouble::a_result_that_cannot_be_unpickled_here_is_an_"
        "error",
    },
    "Remote functions and maps": {
        "`remote`": "client_views::remote_and_parallel_functions",
        "`map` of either": "ported_scripts::a_balanced_parallel_function_gets_its_elements_one_by_"
        "one",
        '`dist="b"`': "old_module_paths::parts_of_a_sequence_make_it_whole_again",
        '`dist="r"`': "old_module_paths::distributions_differ_in_which_elements_are_together",
    },
    "Serialization": {
        "what a function takes along": "notices::it_is_said_once_for_each_function",
        "functions": "function_state::no_task_sees_what_others_did",
        "names that a function": "which_name_wins::a_row_is_true",
        "`interactive`": "serialize_main::an_importable_function_marked_interactive_goes_by_value",
        "global variables that cannot": "left_behind::a_name_error_says_why_the_clients_global_is_"
        "not_there",
        "clients, views, executors": "live::a_stand_in_that_is_used_says_what_it_stands_for",
        "`copy.deepcopy` of these": "live::plain_pickle_refuses_and_copies_are_the_object",
        "classes of `__main__`": "main_objects::a_task_pickles_saves_and_hands_on_what_it_took_"
        "along",
        "classes that both sides": "both_sides_define::what_both_have_defined_is_one",
        "`functools.cache`": "serialize_dependents::functions_with_a_cache_are_rebuilt_around_the_"
        "function",
        "arrays": "client_views::large_arrays_travel_both_ways",
        "containers": "serialize_canning::objects_become_buffers_and_come_back_before_what_follows",
        "`Reference`": "client_views::references_are_looked_up_on_the_engine",
        "wire format": "protocol_doc::every_message_has_a_section_with_its_fields_in_order",
    },
    "Dependencies, retries, timeouts": {
        "`depend`": "client_dependents::a_task_goes_to_an_engine_that_meets_its_dependency",
        "`Dependency`": "client_targeting::a_dependency_is_checked_against_what_ended",
        "`after`": "client_views::a_task_may_wait_for_others",
        "`timeout`": "client_targeting::whatever_timeout_is_allowed_can_be_sent",
        "`retries`": "compatibility::a_task_is_tried_again",
        "`targets`": "client_views::targets_of_a_balanced_view_are_kept_to",
        "impossible": "client_dependents::a_dependency_that_no_engine_meets_is_impossible",
        "the tasks of an engine": "client_trouble::an_engine_that_dies_fails_its_tasks",
    },
    "Schedulers": {
        "schemes": "pure_scheme::the_rest_works",
        "`TaskScheduler.scheme_name`": "apps_commandline::an_option_can_be_given_in_several_ways",
        "load-balanced tasks": "mixed_work::a_stream_of_short_calls_by_name_keeps_no_task_waiting",
        "`TaskScheduler.hwm`": "apps_commandline::the_high_water_mark_may_be_a_word",
        "`TaskScheduler`": "public_surface::a_documented_name_is_there",
        "`stop_receiving`": "compatibility::what_is_left_out_is_not_there",
        "`launch_scheduler`": "scheduler_process::a_launched_scheduler_listens_serves_and_stops",
        "the direct, control": "compatibility::what_is_left_out_is_not_there",
        "`broadcast_scheduler_depth`": "compatibility::what_is_left_out_is_not_there",
        "many ports": "apps_commandline::a_port_alone_is_a_port_of_this_host",
        "messages are signed": "security_connect::a_peer_without_keys_never_gets_through",
    },
    "Hub": {
        "engine ids": "hub_registry::an_id_is_never_used_again",
        "ids that are asked": "hub_registry::a_number_is_taken_for_as_long_as_its_engine_is_here",
        "`HeartMonitor.period`": "apps_commandline::patience_or_missed_beats_say_when_silent_"
        "engines_are_lost",
        "queries": "hub_recordqueries::the_status_of_tasks_can_be_asked",
        "`DictDB`": "apps_commandline::a_store_can_be_chosen_in_the_profile",
        "large arguments": "large_records::another_client_gets_it_all",
        "`SQLiteDB`": "store_sqlite::tools_that_read_the_table_of_ipyparallel_find_its_columns",
        "`MongoDB`": "apps_commandline::a_store_that_there_is_not_is_refused",
        "`NoDB`": "stores::a_controller_may_keep_nothing",
        "`$in`": "store::records_can_be_searched",
        "the keys": "hub_recordqueries::a_record_is_shown_by_the_names_that_users_know",
        "labels": "client_records::records_are_found_by_what_is_in_them",
        "`--restore`": "compatibility::what_is_left_out_is_not_there",
    },
    "Magics": {
        "`%px`": "magics::a_line_runs_on_all_engines",
        "`%load_ext": "magics::the_extension_offers_magics_that_wait_for_a_client",
        "`--block`": "magics::options_choose_engines_and_keep_results",
        "`--stream`": "magics::a_stream_shows_errors_as_they_come_and_not_again",
        "`--targets`": "magics_targets::what_can_be_written",
        "`$name`": "magics::names_in_the_line_of_options_stand_for_their_values",
        "errors of several": "magics::the_same_error_everywhere_is_shown_once",
        "cells queued": "magics::cells_behind_one_that_failed_do_not_run",
        "Ctrl-C": "magics::an_interrupt_ends_the_cell_and_leaves_everything_usable",
        "what is written faster": "outputs::a_flood_is_cut_and_stalls_nothing",
        "`IPP_NONINTERACTIVE`": "client_bars::a_user_can_turn_bars_off",
    },
    "Engines": {
        "`input`, `getpass`, `breakpoint`": "asking::a_debugger_says_what_works_instead",
        "`execute`": "outputs::a_cell_may_be_any_ipython",
        "`apply`": "client_views::source_text_runs_in_the_engines_namespace",
        "`get_ipython`": "engine_has_ipython::the_first_task_that_asks_finds_it",
        "output of tasks": "outputs::text_of_children_and_of_c_code_belongs_to_the_task_in_order",
        "a coroutine": "compatibility::an_async_function_is_awaited",
        "SIGINT": "engine_process::an_interrupt_ends_the_task_and_not_the_engine",
        "`enable_nanny`": "node_process::a_death_in_a_task_is_told_at_once_and_in_full",
        "`-c`": "cli_errors::what_engines_execute_first",
        "the profile's": "apps_commandline::engines_execute_what_the_profile_says_first",
        "a start-up that raises": "startup_errors::a_start_up_that_fails_is_a_failure_that_says_"
        "where_and_why",
        "`wait_for_engines`, `ids`": "startup_errors::an_engine_in_its_start_up_is_no_engine_yet",
        "`$PYTHONSTARTUP`": "startup_errors::the_users_own_start_up_file_is_executed",
        "`ipengine --ssh`": "tunnels::engines_go_by_ssh_and_outlive_a_cut "
        "tunnels::a_controller_says_in_its_files_where_to_tunnel",
        "`IPP_CONNECTION_INFO`": "from_environment::a_client_goes_by_what_names_less_only_if_"
        "nothing_names_more from_environment::a_file_in_memory_is_as_good_as_one",
        "`--log-url`": "compatibility::what_is_left_out_is_not_there",
        "a batch script": "run_here::a_program_finds_its_cluster_and_no_other",
        "`--mpi`": "mpi::ids_are_ranks_and_the_world_is_there",
        "comms": "bind_kernel_requests::asking_for_input_fails_at_once",
    },
    "Clusters and command lines": {
        "`SSHEngineSetLauncher`": "ssh_launcher::hosts_have_the_engines_that_were_asked_for "
        "ssh_launcher::files_go_there_and_come_back_and_a_prologue_comes_first "
        "ssh_launcher::nothing_stays_whoever_is_killed",
        "`SSHControllerLauncher`": "ssh_launcher::a_controller_elsewhere_is_as_one_here "
        "ssh_launcher::the_command_line_starts_a_controller_elsewhere_as_a_file_says",
        "`SSHProxyEngineSetLauncher`": "apps_commandline::an_old_name_of_what_there_is_not_"
        "is_still_an_error",
        "ssh to Windows": "launch_hosts::what_is_run_there_holds_no_key_and_quotes_what_users_say",
        "`Cluster(n=": "cluster_lifecycle::a_cluster_takes_the_arguments_that_scripts_give_it",
        "`delay=`": "compatibility::clusters_take_what_they_took",
        "`config=`": "compatibility::clusters_take_what_they_took",
        "`start_*`": "cluster_lifecycle::engines_come_and_go_in_sets",
        "`stop_engine`": "compatibility::what_is_left_out_is_not_there",
        "`to_dict`": "cluster_lifecycle::the_cluster_file_is_private_and_tells_all",
        "`profile_dir`, `cluster_file`": "cluster_lifecycle::what_a_cluster_says_of_paths_is_text",
        "launchers": "cluster_lifecycle::a_launcher_can_be_named_by_where_it_is_imported_from",
        '`engines="slurm"`': "launch_options::an_unknown_option_names_the_nearest",
        "launchers for PBS, Grid Engine": "batch_systems::jobs_wait_with_a_reason_and_then_work",
        "traits of batch launchers": "batch_templates::a_configuration_file_for_ipyparallel_is_"
        "heeded",
        "`ipcluster launchers`": "cli_launchers::what_is_shown_is_what_is_submitted",
        "`WindowsHPCEngineSetLauncher`": "apps_oldlines::what_would_change_the_result_is_refused_"
        "with_what_to_do",
        "launchers of controllers as jobs": "batch_templates::a_controller_is_no_job",
        "jobs of a batch system": "launch_queue::a_guard_ends_jobs_when_whoever_wants_them_is_"
        "killed",
        "what was a": "error_module::errors_of_clusters_are_also_what_programs_catch",
        "`ClusterManager`": "cluster_lifecycle::a_manager_knows_clusters_by_name",
        "`ipcluster start`": "cli_ipcluster::a_cluster_in_the_background_stays_until_it_is_stopped",
        "`ipcluster list`": "cli_listing::controllers_started_by_hand_are_listed_with_their_"
        "engines",
        "`ipcluster stop`": "cli_listing::the_controller_and_engines_of_three_terminals_are_"
        "stopped",
        "`ipcluster start --clean-logs`": "cli_cleaning::a_start_removes_old_logs_if_told_to",
        "`ipcluster clean`": "cli_cleaning::damaged_files_and_old_logs_go_and_what_is_in_use_stays",
        "`ipcluster status`": "cli_status::the_status_is_a_few_lines_for_people",
        "an unknown option": "cli_errors::a_wrong_option_is_exit_code_2_and_a_hint",
        "a wrong value": "apps_settings::what_is_wrong_in_a_file_names_the_line",
        "command lines and files": "apps_oldlines::what_nothing_needs_is_taken_with_a_line_that_"
        "says_so",
        "`--restore`, `--mongodb`": "apps_oldlines::what_would_change_the_result_is_refused_with_"
        "what_to_do",
        "`ipcontroller --reuse`": "reuse::files_of_the_controller_before_are_good_for_the_next_one",
        "`--ip` takes": "transport_doors::what_is_bound_and_published",
        "`--show-config`": "apps_settings::what_is_in_effect_is_shown_with_where_it_was_written",
        "`--init`": "apps_settings::init_writes_the_file_where_there_is_none_and_goes_on",
        "`ipcluster_config.json`": "apps_settings::json_is_read_and_wins_over_python_and_the_"
        "command_line_over_both",
        "engines that a client": "client_trouble::engines_can_be_shut_down_alone",
        "`ipcluster_config.py`": "apps_commandline::a_file_written_for_ipyparallel_is_understood",
        "`ipcontroller_config.py`": "apps_commandline::old_names_of_the_controllers_classes_are_"
        "understood",
        "`c.Session`": "apps_oldlines::what_nothing_needs_of_a_file_is_one_line_that_names_it",
        "`IPP_CLUSTER_ID`": "compatibility::what_is_left_out_is_not_there",
    },
    "Jupyter": {
        "`GET /ipyparallel/clusters`": "jupyter_server::a_cluster_that_was_started_elsewhere_is_"
        "known",
        "`POST /ipyparallel/clusters` with": "jupyter_server::what_is_no_request_is_refused_with_a_"
        "reason",
        "`GET /ipyparallel/clusters/<key>`": "jupyter_server::a_cluster_is_made_started_used_and_"
        "removed",
        "`POST /ipyparallel/clusters/<key>`": "jupyter_server::a_second_cluster_of_the_name_and_a_"
        "second_start_are_refused",
        "`DELETE /ipyparallel/clusters/<key>`": "jupyter_server::a_cluster_is_made_started_used_"
        "and_removed",
        "requests for one cluster": "jupyter_server::starts_that_come_at_once_start_one_cluster",
        "clusters end": "jupyter_server::clusters_end_with_the_server",
        "JupyterLab's": "compatibility::there_is_no_code_for_browsers",
    },
}
