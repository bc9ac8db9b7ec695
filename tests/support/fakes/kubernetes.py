"""A stand-in for ``kubectl``: pods are processes of this host, Secrets are folders."""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import sys
import time
from typing import Any

from fakes.store import ENDED, PENDING, RUNNING, Job, Store, Task
from fakes.talk import Refused, hold_back, options

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")


def apply(store: Store, words: list[str]) -> int:
    hold_back(store, "submit")
    given = options(words, {"-f": True, "-n": True, "--namespace": True}, "kubectl")
    if dict(given).get("-f") != "-":
        raise Refused("error: must specify one of -f and -k")
    try:
        whole = json.loads(sys.stdin.read())
    except ValueError as error:
        raise Refused(f"error: error parsing STDIN: {error}") from error
    for thing in whole["items"] if whole.get("kind") == "List" else [whole]:
        name = thing["metadata"]["name"]
        if not _NAME.fullmatch(name):
            raise Refused(
                f'The {thing["kind"]} "{name}" is invalid: metadata.name: Invalid value: '
                f'"{name}": a lowercase RFC 1123 subdomain must consist of lower case '
                "alphanumeric characters"
            )
        if thing["kind"] == "Secret":
            _keep_secret(store, name, thing)
            print(f"secret/{name} created")
        elif thing["kind"] == "Job" and thing.get("apiVersion") == "batch/v1":
            _run(store, name, thing)
            print(f"job.batch/{name} created")
        else:
            words_ = f'no matches for kind "{thing["kind"]}" in version "{thing.get("apiVersion")}"'
            raise Refused(f'error: resource mapping not found for name: "{name}": {words_}')
    return 0


def _keep_secret(store: Store, name: str, thing: dict[str, Any]) -> None:
    folder = store.root / "secrets" / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, text in thing.get("stringData", {}).items():
        (folder / key).write_text(text)
    for key, data in thing.get("data", {}).items():
        (folder / key).write_bytes(base64.b64decode(data))
    for path in folder.iterdir():
        path.chmod(0o600)


def _run(store: Store, name: str, thing: dict[str, Any]) -> None:
    spec = thing["spec"]
    pod = spec["template"]["spec"]
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        words = (
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
        )
        raise Refused(f'The Job "{name}" is invalid: {words}')
    [container] = pod["containers"]
    if not container.get("image"):
        words = "spec.template.spec.containers[0].image: Required value"
        raise Refused(f'The Job "{name}" is invalid: {words}')
    for kind in ("requests", "limits"):
        for key, amount in container.get("resources", {}).get(kind, {}).items():
            if not _QUANTITY.fullmatch(str(amount)):
                words = "quantities must match the regular expression"
                raise Refused(f'The Job "{name}" is invalid: {kind}.{key}: "{amount}": {words}')
    argv = [*container["command"], *container.get("args", [])]
    for mount in container.get("volumeMounts", []):
        volume = next(one for one in pod["volumes"] if one["name"] == mount["name"])
        if "secret" in volume:
            folder = store.root / "secrets" / volume["secret"]["secretName"]
            argv = [word.replace(mount["mountPath"], str(folder)) for word in argv]
    env = {"PATH": "/usr/bin:/bin", "HOME": "/", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}
    env |= {one["name"]: one["value"] for one in container.get("env", []) if "value" in one}
    is_indexed = spec.get("completionMode") == "Indexed"
    number = store.next_number()
    job = Job(
        number,
        name,
        argv,
        env,
        container.get("workingDir", "/"),
        [Task(index) for index in range(spec.get("completions", 1))],
        is_array=True,
        stdout=str(store.root / "scratch" / f"{name}-{{index}}.log"),
        limit_s=spec.get("activeDeadlineSeconds"),
        endings=[(signal.SIGTERM, float(pod.get("terminationGracePeriodSeconds", 30)))],
        index_names=["JOB_COMPLETION_INDEX"] if is_indexed else [],
        script=json.dumps(thing),
        extra={"labels": spec["template"].get("metadata", {}).get("labels", {})},
    )
    store.submit(job)


def _named(store: Store, name: str) -> Job | None:
    gone = {path.name for path in (store.root / "scratch").glob("deleted-*")}
    for job in reversed(store.jobs()):
        if job.name == name:
            return None if f"deleted-{job.number}" in gone else job
    return None


def get(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    takes = {"-l": True, "--selector": True, "-o": True, "-n": True, "--namespace": True}
    takes["--ignore-not-found"] = False
    given = options(words[1:], takes, "kubectl")
    chosen = dict(given)
    wanted = chosen.get("-l", chosen.get("--selector", ""))
    items = []
    for job in store.jobs():
        if _named(store, job.name) is None or _named(store, job.name).number != job.number:
            continue
        for task in job.tasks:
            pod = _pod(store, job, task)
            if _is_selected(pod["metadata"]["labels"], wanted) and not (
                task.state == ENDED and task.cause == "cancelled"
            ):
                items.append(pod)
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=4))
    return 0


def _is_selected(labels: dict[str, str], selector: str) -> bool:
    match = re.fullmatch(r"\s*([\w./-]+)\s+in\s+\(([^)]*)\)\s*", selector)
    if match:
        return labels.get(match[1]) in [name.strip() for name in match[2].split(",")]
    pairs = [part.partition("=") for part in selector.split(",") if part]
    return all(labels.get(key) == value.lstrip("=") for key, _, value in pairs)


def _pod(store: Store, job: Job, task: Task) -> dict[str, Any]:
    key = "batch.kubernetes.io/job-completion-index"
    status: dict[str, Any] = {}
    if task.state == PENDING:
        why = store.settings["reason"] or "0/3 nodes are available: 3 Insufficient cpu."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        status = {"phase": "Pending", "conditions": [{**condition, "message": why}]}
        if store.settings["reason"] in ("ImagePullBackOff", "ErrImagePull"):
            waiting = {"reason": store.settings["reason"], "message": "Back-off pulling image"}
            status = {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"name": "engines", "state": {"waiting": waiting}}],
            }
    elif task.state == RUNNING:
        status = {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}
    else:
        code = 128 + task.signal if task.signal else task.exit_code
        over = {"exitCode": code, "reason": "Error" if code else "Completed"}
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"state": {"terminated": over}}],
        }
        if task.cause == "time":
            status |= {"phase": "Failed", "reason": "DeadlineExceeded"}
    return {
        "metadata": {
            "name": f"{job.name}-{task.index}-x7k2p",
            "labels": {
                "job-name": job.name,
                "batch.kubernetes.io/job-name": job.name,
                key: str(task.index),
                **job.extra["labels"],
            },
            "annotations": {key: str(task.index)},
        },
        "spec": {"nodeName": "" if task.state == PENDING else "node1"},
        "status": status,
    }


def delete(store: Store, words: list[str]) -> int:
    takes = {"--ignore-not-found": False, "--wait": False, "--cascade": True, "-n": True}
    takes |= {"--namespace": True, "--now": False, "--grace-period": True, "--timeout": True}
    words = [word if not word.startswith("--wait=") else "--wait" for word in words]
    words = [w.replace("--ignore-not-found=true", "--ignore-not-found") for w in words]
    given = options(
        [word for word in words if "/" in word or word.startswith("-")] or words, takes, "kubectl"
    )
    if words and not words[0].startswith("-") and "/" not in words[0]:
        kind, names = words[0], [word for word in words[1:] if not word.startswith("-")]
        pairs = [(kind, name) for name in names]
    else:
        pairs = [tuple(value.split("/", 1)) for name, value in given if not name]
    code = 0
    for kind, name in pairs:
        if kind in ("secret", "secrets"):
            folder = store.root / "secrets" / name
            if folder.exists():
                shutil.rmtree(folder)
                print(f'secret "{name}" deleted')
            continue
        job = _named(store, name)
        if job is None:
            if "--ignore-not-found" not in words:
                words_ = f'jobs.batch "{name}" not found'
                print(f"Error from server (NotFound): {words_}", file=sys.stderr)
                code = 1
            continue
        store.ask("cancel", job.number)
        while "--wait" not in words and store.load(job.number).state != ENDED:
            time.sleep(0.02)
        if store.load(job.number).state == ENDED:
            (store.root / "scratch" / f"deleted-{job.number}").touch()
        print(f'job.batch "{name}" deleted')
    return code


def logs(store: Store, words: list[str]) -> int:
    takes = {"--tail": True, "-l": True, "--selector": True, "-n": True, "--prefix": False}
    takes |= {"--namespace": True, "--max-log-requests": True, "--all-containers": False}
    given = options(words, takes, "kubectl")
    chosen = dict(given)
    name = next((value for option, value in given if not option), "").removeprefix("job/")
    if not name:
        name = chosen.get("-l", chosen.get("--selector", "")).partition("=")[2]
    lines = int(chosen.get("--tail", "1000"))
    for path in sorted((store.root / "scratch").glob(f"{name}-*.log")):
        sys.stdout.write("".join(path.read_text().splitlines(keepends=True)[-lines:]))
    return 0


def run(store: Store, program: str, words: list[str], system: str) -> int:
    words = list(words)
    if words[:1] in (["-n"], ["--namespace"]):
        words = words[2:]
    command = {"apply": apply, "get": get, "delete": delete, "logs": logs}
    if not words or words[0] not in command:
        raise Refused(f'error: unknown command "{" ".join(words[:1])}" for "kubectl"')
    return command[words[0]](store, words[1:])
