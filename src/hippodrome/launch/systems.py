"""Batch systems, as a table: how each is asked for jobs, asked about them, and told to end them.

A new system is one more entry of `SYSTEMS`, its options in `hippodrome.launch.options`, a class of
two lines beside `hippodrome.launch.batch.SlurmEngineSetLauncher`, and a line in
`hippodrome.launch.find`. `BatchSystem` says what each field means. To write an entry:

1. `submit` is run with the script's path at its end, or with the script on stdin if
   `reads_stdin`. `job_id` finds the id in what it prints.
2. `directives` are lines of the script, each with the option for which it is there; it is left out
   where that option is not set, or where a user's ``skip`` names the flag that it begins with. Its
   template may use the names that `hippodrome.launch.script.values` makes: ``{name}``,
   ``{output}``, ``{nodes}``, ``{cores}``, ``{seconds}``, ``{clock}``, ``{megabytes}`` ...
3. `query` is one command for all jobs: ``{ids}`` becomes their ids, joined by `between_ids`, or
   one word for each where that is a space. `parse` turns its output into a `Report` for each id;
   what it does not tell of has left the queue. Lines that it cannot read are to be left out: a
   `ValueError` means that the whole answer is of no use.
4. What a job sees is in shell words: `rank`, `end_time`. How many cores it has is what
   `hippodrome.launch.allocation` finds.

What ends a job must let its processes know by SIGTERM where the system can do that: supervisors
then leave in order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hippodrome.launch import answers
from hippodrome.launch.batchsystem import BatchSystem

SYSTEMS: Final[Mapping[str, BatchSystem]] = {
    "slurm": BatchSystem(
        title="Slurm",
        submit=("sbatch", "--parsable"),
        job_id=re.compile(r"^(?:Submitted batch job )?(\d+)(?:;|$)", re.MULTILINE),
        query=("squeue", "-h", "-t", "all", "-o", "%i|%T|%r|%e|%N", "-j", "{ids}"),
        parse=answers.parse_slurm,
        gone=re.compile(r"Invalid job id"),
        hopeless=re.compile(
            r"Partition(Time|Node)Limit|Invalid(Account|QOS)|AccountNotAllowed|QOSNotAllowed"
            r"|BadConstraints|DependencyNeverSatisfied|.*Max(Wall|Node|Cpu|Mem)\w*PerJob\w*"
        ),
        cancel=("scancel",),
        signal=("scancel", "--full", "--signal={signal}"),
        directive="#SBATCH ",
        directives=(
            ("", "--job-name={name}"),
            ("", "--output={output}"),
            ("", "--nodes={nodes}"),
            ("", "--ntasks-per-node=1"),
            ("cores", "--cpus-per-task={cores}"),
            ("whole", "--exclusive"),
            ("time", "--time={clock}"),
            ("memory", "--mem={megabytes}M"),
            ("gpus", "--gpus-per-node={gpus}"),
            ("account", "--account={account}"),
            ("queue", "--partition={queue}"),
            ("qos", "--qos={qos}"),
        ),
        rank="${SLURM_PROCID:-0}",
        end_time="${SLURM_JOB_END_TIME:-$(t=$(timeout 10 squeue -h -j $SLURM_JOB_ID -o %e) "
        '&& [ -n "$t" ] && date -d "$t" +%s)}',
        each_host="srun --ntasks-per-node=1 --kill-on-bad-exit=0 --export=ALL",
    ),
    "pbs": BatchSystem(
        title="PBS",
        submit=("qsub",),
        job_id=re.compile(r"^(\d+\S*)", re.MULTILINE),
        query=("qstat", "-x", "-f", "-F", "json", "{ids}"),
        parse=answers.parse_pbs,
        between_ids=" ",
        without_past=("qstat", "-f", "-F", "json", "{ids}"),
        no_past=re.compile(r"job history"),
        gone=re.compile(r"Unknown Job Id|Job has finished"),
        cancel=("qdel",),
        signal=("qsig", "-s", "{signal}"),
        directive="#PBS ",
        directives=(
            ("", "-N {name}"),
            ("", "-j oe"),
            ("", "-o {output}"),
            ("", "-V"),
            ("", "-l select={nodes}(:ncpus={cores})(:mem={megabytes}mb)(:ngpus={gpus})"),
            ("whole", "-l place=scatter:excl"),
            ("time", "-l walltime={clock}"),
            ("account", "-A {account}"),
            ("queue", "-q {queue}"),
        ),
        rank="${PBS_NODENUM:-0}",
    ),
    "torque": BatchSystem(
        title="Torque",
        submit=("qsub",),
        job_id=re.compile(r"^(\d+\S*)", re.MULTILINE),
        query=("qstat", "-f", "-x", "{ids}"),
        parse=answers.parse_torque,
        between_ids=" ",
        gone=re.compile(r"Unknown Job Id"),
        cancel=("qdel",),
        signal=("qsig", "-s", "{signal}"),
        directive="#PBS ",
        directives=(
            ("", "-N {short_name}"),
            ("", "-j oe"),
            ("", "-o {output}"),
            ("", "-V"),
            ("", "-l nodes={nodes}(:ppn={cores})(:gpus={gpus})"),
            ("whole", "-n"),
            ("memory", "-l mem={megabytes}mb"),
            ("time", "-l walltime={clock}"),
            ("account", "-A {account}"),
            ("queue", "-q {queue}"),
        ),
        rank="${PBS_NODENUM:-0}",
    ),
    "sge": BatchSystem(
        title="Grid Engine",
        submit=("qsub", "-terse"),
        job_id=re.compile(r"^(?:Your job(?:-array)? )?(\d+)", re.MULTILINE),
        query=("qstat", "-xml"),
        parse=answers.parse_sge,
        past=("qacct", "-j", "{ids}"),
        parse_past=answers.parse_sge_past,
        cancel=("qdel",),
        signal=(),
        directive="#$ ",
        directives=(
            ("", "-N {name}"),
            ("", "-j y"),
            ("", "-o {output}"),
            ("", "-V"),
            ("", "-S /bin/bash"),
            ("", "-notify"),
            ("parallel_environment", "-pe {parallel_environment} {cores}"),
            ("time", "-l h_rt={clock}"),
            ("memory", "-l h_vmem={megabytes}M"),
            ("gpus", "-l gpu={gpus}"),
            ("account", "-P {account}"),
            ("queue", "-q {queue}"),
        ),
        rank="0",
    ),
    "lsf": BatchSystem(
        title="LSF",
        submit=("bsub",),
        reads_stdin=True,
        job_id=re.compile(r"<(\d+)>"),
        query=("bjobs", "-noheader", "-o", f'{answers.LSF_FIELDS} delimiter="|"', "{ids}"),
        parse=answers.parse_lsf,
        between_ids=" ",
        gone=re.compile(r"is not found|No matching job"),
        cancel=("bkill",),
        signal=("bkill", "-s", "{signal}"),
        directive="#BSUB ",
        directives=(
            ("", "-J {name}"),
            ("", "-oo {output}"),
            ("", "-env all"),
            ("cores", "-n {cores}"),
            ("cores", '-R "span[hosts=1]"'),
            ("whole", "-x"),
            ("time", "-W {minutes}"),
            ("memory", "-M {megabytes}MB"),
            ("memory", '-R "rusage[mem={megabytes}MB]"'),
            ("gpus", "-gpu num={gpus}"),
            ("account", "-P {account}"),
            ("queue", "-q {queue}"),
        ),
        rank="0",
    ),
    "htcondor": BatchSystem(
        title="HTCondor",
        submit=("condor_submit", "-terse"),
        job_id=re.compile(r"(?:^|cluster )(\d+(?:\.\d+)?)", re.MULTILINE),
        query=("condor_q", "{ids}", "-af:jr", *answers.CONDOR_FIELDS),
        parse=answers.parse_htcondor,
        between_ids=" ",
        past=("condor_history", "{ids}", "-limit", "1", "-af:jr", *answers.CONDOR_FIELDS),
        parse_past=answers.parse_htcondor,
        cancel=("condor_rm",),
        signal=(),
        directive="",
        directives=(
            ("", "universe = vanilla"),
            ("", "executable = {script}"),
            ("", "output = {output}"),
            ("", "error = {output}"),
            ("", "log = {log}"),
            ("", "getenv = True"),
            ("", "should_transfer_files = NO"),
            ("", "job_batch_name = {name}"),
            ("cores", "request_cpus = {cores}"),
            ("memory", "request_memory = {megabytes}"),
            ("gpus", "request_gpus = {gpus}"),
            ("time", "allowed_execute_duration = {seconds}"),
            ("account", "accounting_group = {account}"),
        ),
        description=("queue 1",),
        rank="0",
    ),
    "flux": BatchSystem(
        title="Flux",
        submit=("flux", "batch"),
        job_id=re.compile(r"^(\S+)", re.MULTILINE),
        query=("flux", "jobs", "-n", "-o", answers.FLUX_FIELDS, "{ids}"),
        parse=answers.parse_flux,
        between_ids=" ",
        gone=re.compile(r"JobID \S+ unknown|No such file"),
        cancel=("flux", "cancel"),
        signal=("flux", "job", "kill", "--signal=SIG{signal}"),
        directive="#flux: ",
        directives=(
            ("", "--job-name={name}"),
            ("", "--output={output}"),
            ("", "--nslots=1"),
            ("cores", "--cores-per-slot={cores}"),
            ("whole", "--nodes=1"),
            ("whole", "--exclusive"),
            ("time", "--time-limit={seconds}s"),
            ("gpus", "--gpus-per-slot={gpus}"),
            ("account", "--bank={account}"),
            ("queue", "--queue={queue}"),
        ),
        rank="0",
    ),
    "oar": BatchSystem(
        title="OAR",
        submit=("oarsub", "-S"),
        job_id=re.compile(r"^OAR_JOB_ID=(\d+)", re.MULTILINE),
        query=("oarstat", "-J", "-f", "-u"),
        parse=answers.parse_oar,
        past=("oarstat", "-J", "-fj", "{ids}"),
        parse_past=answers.parse_oar,
        cancel=("oardel",),
        signal=("oardel", "-s", "SIG{signal}"),
        directive="#OAR ",
        directives=(
            ("", "-n {name}"),
            ("", "-O {output}"),
            ("", "-E {output}"),
            ("", "-l /nodes=1(/core={cores})(,walltime={clock})"),
            ("account", "--project={account}"),
            ("queue", "-q {queue}"),
        ),
        rank="0",
        has_own_environment=True,
    ),
}
