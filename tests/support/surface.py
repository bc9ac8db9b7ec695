"""The public surface that users of ipyparallel know, as data: names, signatures, defaults.

An entry is a name, or a call with its parameters as they are documented. Where a default was an
empty list it is an empty tuple here, which nobody can change by mistake.
"""

from __future__ import annotations

from typing import Final

# of the package, of a module in it, or of a class of the package
SURFACE: Final[dict[str, str]] = {
    "hippodrome": """
        Client(connection_info=None, profile=None, profile_dir=None, ipython_dir=None,
            context=None, debug=False, sshserver=None, sshkey=None, password=None,
            paramiko=None, timeout=10, cluster_id=None, *, url_file=None, cluster=None)
        DirectView(client=None, socket=None, targets=None, **flags)
        LoadBalancedView(client=None, socket=None, **flags)
        BroadcastView(client=None, socket=None, targets=None, **flags)
        ViewExecutor(view)
        AsyncResult
        AsyncMapResult
        AsyncHubResult
        Cluster
        ClusterManager
        Dependency(dependencies=(), all=True, success=True, failure=False)
        dependent(f, df, /, *args, **kwargs)
        RemoteFunction(view, f, block=None, **flags)
        ParallelFunction(view, f, dist='b', block=None, chunksize=None, ordered=True,
            return_exceptions=False, **flags)
        Reference(name)
        PrePickled(obj)
        interactive(f)
        require(*objects, **mapping)
        depend(f, /, *args, **kwargs)
        remote(view, block=None, **flags)
        parallel(view, dist='b', block=None, ordered=True, **flags)
        IPythonError
        KernelError
        EngineError
        NoEnginesRegistered
        TaskAborted(msg_id, /)
        TaskTimeout
        TimeoutError
        UnmetDependency
        ImpossibleDependency
        DependencyTimeout
        InvalidDependency
        RemoteError(ename, evalue, traceback, engine_info=None)
        TaskRejectError
        CompositeError(message, elist)
        AlreadyDisplayedError
        bind_kernel
        register_joblib_backend(name='ipyparallel', make_default=False)
        can(obj)
        uncan(obj, g=None)
        can_map
        uncan_map
        serialize_object(obj, buffer_threshold=1024, item_threshold=64)
        deserialize_object(buffers, g=None)
        pack_apply_message(f, args, kwargs, buffer_threshold=1024, item_threshold=64)
        unpack_apply_message(bufs, g=None, copy=True)
        use_dill()
        use_cloudpickle()
        use_pickle()
        wrap_exception(engine_info=None)
        unwrap_exception(content)
        collect_exceptions(results, /, method='unspecified')
        ALL_COMPLETED
        FIRST_COMPLETED
        FIRST_EXCEPTION
        version_info
        __version__
        _jupyter_server_extension_paths
        _jupyter_labextension_paths
        _jupyter_nbextension_paths
        _load_jupyter_server_extension
        load_jupyter_server_extension
        datapub
        shellcmd
    """,
    "client.magics": "ParallelMagics",
    "Client": """
        ids
        block
        history
        outstanding
        results
        metadata
        profile
        session
        cluster
        __enter__
        __exit__
        __len__
        __iter__
        __getitem__(key)
        activate(targets='all', suffix='')
        direct_view(targets='all', **flags)
        load_balanced_view(targets=None, **flags)
        broadcast_view(targets='all', is_coalescing=False, **flags)
        executor(targets=None)
        wait(jobs=None, timeout=-1)
        wait_interactive(jobs=None, interval=1.0, timeout=-1.0)
        wait_for_engines(n=None, *, timeout=-1, block=True, interactive=None, widget=None)
        abort(jobs=None, targets=None, block=None)
        clear(targets=None, block=None)
        send_signal(sig, targets=None, block=None)
        shutdown(targets='all', restart=False, hub=False, block=None)
        get_result(indices_or_msg_ids=None, block=None, owner=True)
        resubmit(indices_or_msg_ids=None, metadata=None, block=None)
        result_status(msg_ids, status_only=True)
        queue_status(targets='all', verbose=False)
        hub_history()
        db_query(query, keys=None)
        purge_local_results(jobs=(), targets=())
        purge_hub_results(jobs=(), targets=())
        purge_results(jobs=(), targets=())
        purge_everything()
        become_dask(targets='all', port=0, nanny=False, scheduler_args=None, **worker_args)
        become_distributed(targets='all', port=0, nanny=False, scheduler_args=None, **worker_args)
        stop_dask(targets='all')
        stop_distributed(targets='all')
        send_apply_request(socket, f, args=None, kwargs=None, metadata=None,
            track=False, ident=None, message_future_hook=None)
        send_execute_request(socket, code, silent=True, metadata=None, ident=None,
            message_future_hook=None)
        create_message_futures
        spin()
        spin_thread(interval=1)
        stop_spin_thread()
        close(linger=None)
    """,
    "View": """
        block
        track
        targets
        label
        history
        outstanding
        results
        client
        executor
        __len__
        set_flags(**flags)
        temp_flags(**flags)
        apply(f, /, *args, **kwargs)
        apply_async(f, /, *args, **kwargs)
        apply_sync(f, /, *args, **kwargs)
        map_async(f, /, *sequences)
        map_sync(f, /, *sequences)
        wait(jobs=None, timeout=-1)
        spin()
        abort(jobs=None, targets=None, block=None)
        queue_status(targets=None, verbose=False)
        purge_results(jobs=(), targets=())
        shutdown(targets=None, restart=False, hub=False, block=None)
        get_result(indices_or_msg_ids=None, block=None, owner=False)
        remote(block=None, **flags)
        parallel(dist='b', block=None, **flags)
    """,
    "DirectView": """
        execute(code, silent=True, targets=None, block=None, label=None)
        run(filename, targets=None, block=None, label=None)
        push(ns, targets=None, block=None, track=None)
        pull(names, targets=None, block=None)
        get(key_s)
        update(ns)
        __getitem__(key)
        __setitem__(key, value)
        scatter(key, seq, dist='b', flatten=False, targets=None, block=None, track=None)
        gather(key, dist='b', targets=None, block=None)
        map(f, /, *sequences, block=None, track=False, return_exceptions=False, label=None)
        map_async(f, /, *sequences, track=False, return_exceptions=False, label=None)
        map_sync(f, /, *sequences, track=False, return_exceptions=False, label=None)
        imap(f, /, *sequences)
        sync_imports(local=True, quiet=False)
        importer
        use_dill()
        use_cloudpickle()
        use_pickle()
        clear(targets=None, block=None)
        activate(suffix='')
    """,
    "LoadBalancedView": """
        follow
        after
        timeout
        retries
        map(f, /, *sequences, block=None, track=False, chunksize=1, ordered=True,
            return_exceptions=False, label=None)
        map_async(f, /, *sequences, track=False, chunksize=1, ordered=True,
            return_exceptions=False, label=None)
        map_sync(f, /, *sequences, track=False, chunksize=1, ordered=True,
            return_exceptions=False, label=None)
        imap(f, /, *sequences, ordered=True, max_outstanding='auto', return_exceptions=False)
        register_joblib_backend(name='ipyparallel', make_default=False)
    """,
    "BroadcastView": "is_coalescing",
    "ViewExecutor": """
        submit(fn, /, *args, **kwargs)
        map(fn, /, *iterables, **kwargs)
        shutdown(wait=True)
        view
        _max_workers
    """,
    "AsyncResult": """
        msg_ids
        owner
        get(timeout=None, return_exceptions=None, return_when=None)
        result(timeout=None)
        exception(timeout=None)
        done()
        add_done_callback(fn)
        wait(timeout=-1, return_when=None)
        ready()
        successful()
        wait_for_output(timeout=-1)
        r
        get_dict(timeout=-1)
        result_dict
        metadata
        __getitem__(key)
        __getattr__
        abort()
        sent
        wait_for_send(timeout=-1)
        __iter__
        __len__
        progress
        elapsed
        serial_time
        wall_time
        timedelta(start, end, start_key=min, end_key=max)
        wait_interactive(interval=0.1, timeout=-1, widget=None, return_when='ALL_COMPLETED')
        stream_output()
        display_outputs(groupby='type', result_only=False)
        split()
        join(*async_results)
        cancel()
    """,
    "AsyncMapResult": """
        ordered
        get(timeout=None, return_exceptions=None, return_when=None)
        __iter__
    """,
    "RemoteFunction": "map(*sequences)",
    "ParallelFunction": "map(*sequences)",
    "Dependency": """
        check(completed, failed)
        unreachable(completed, failed)
        as_dict()
    """,
    "RemoteError": """
        render_traceback()
        print_traceback(excid=None)
        _render_traceback_
    """,
    "CompositeError": """
        elist
        tb_limit
        raise_exception(excid=0)
        render_traceback()
        print_traceback(excid=None)
    """,
    "scheduler": """
        Job
        TaskScheduler
        launch_scheduler(in_addr, out_addr, mon_addr, not_addr, reg_addr, config=None,
            logname='root', log_url=None, loglevel=10, identity=b'task',
            in_thread=False)
        leastload(loads)
        lru(loads)
        plainrandom(loads)
        twobin(loads)
        weighted(loads)
    """,
}  # fmt: skip

METADATA_KEYS: Final = (
    "msg_id", "submitted", "started", "completed", "received", "engine_uuid", "engine_id",
    "follow", "after", "status", "execute_input", "execute_result", "error", "stdout", "stderr",
    "outputs", "data", "label",
)  # fmt: skip

# What is not there, and which step brings it. Each is in the table above.
NOT_YET: Final[dict[str, str]] = {
    "hippodrome.shellcmd": "ssh launchers, whose helper it was",
    "Client.create_message_futures": "broadcast views, whose inner hook it was",
}

# What is called in another way, and why.
DIFFERS: Final[dict[str, str]] = {
    "hippodrome.DirectView": "views are made by a client, and have no socket of their own",
    "hippodrome.LoadBalancedView": "views are made by a client, and have no socket of their own",
    "hippodrome.BroadcastView": "views are made by a client, and have no socket of their own",
}
