"""The files of docs/deploy, as far as they can be checked without an engine."""

from __future__ import annotations

import re
import shlex

import dask
import yaml
from distributed import Client

from leandask import Retention
from leandask.cli.scheduler import main
from leandask.settings import config
from tests.helpers.deployfiles import (
    assert_passes_hadolint,
    validate_for_kubernetes,
)
from tests.helpers.paths import ROOT
from tests.helpers.processes import DASK, assert_lean, lean_environment

DEPLOY = ROOT / "docs" / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
DEPLOYMENT, SERVICE = yaml.safe_load_all((DEPLOY / "scheduler.yaml").read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
[SCHEDULER] = POD["containers"]
[VECTOR] = POD["initContainers"]


def instructions():
    """Keyword and rest of each instruction of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            keyword, rest = line.split(maxsplit=1)
            yield keyword, rest


def of(keyword):
    return [rest for name, rest in instructions() if name == keyword]


def test_images_are_pinned_to_a_release():
    images = [rest.split()[0] for rest in of("FROM")]
    images += [c["image"] for c in (SCHEDULER, VECTOR)]
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image


def test_the_image_runs_as_a_user_and_its_command_gets_the_signals():
    stage = [name for name, _ in instructions()]
    last = stage[len(stage) - stage[::-1].index("FROM") :]
    assert last.index("USER") < last.index("CMD")
    [user] = of("USER")
    assert int(user.split(":")[0]) == POD["securityContext"]["runAsUser"] > 0
    [command] = of("CMD")
    name, *args = yaml.safe_load(command)  # exec form: a list, without a shell
    assert name == "leandask-scheduler"
    main.make_context(name, args)


def test_the_image_has_no_caches():
    for command in of("RUN"):
        if "apt-get install" in command:
            assert "rm -rf /var/lib/apt/lists" in command
        if "pip install" in command:
            assert "--no-cache-dir" in command


def test_the_image_copies_existing_files_and_all_that_a_build_reads():
    sources = [
        source
        for rest in of("COPY")
        if not rest.startswith("--from")
        for source in shlex.split(rest)[:-1]
    ]
    assert all((ROOT / source).exists() for source in sources)
    assert {"pyproject.toml", "README.md", "LICENSE", "leandask/"} <= set(sources)


def test_the_dockerfile_passes_hadolint():
    assert_passes_hadolint(DOCKERFILE)


def test_the_manifests_are_valid_for_kubernetes():
    validate_for_kubernetes(DEPLOYMENT, SERVICE)


def test_every_container_has_limits_and_no_privileges():
    assert POD["securityContext"]["runAsNonRoot"] is True
    for container in (SCHEDULER, VECTOR):
        resources = container["resources"]
        assert resources["limits"]["memory"] == resources["requests"]["memory"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in POD["volumes"]}


def test_the_probes_ask_for_health_at_an_open_port():
    ports = {port["name"] for port in SCHEDULER["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = SCHEDULER[probe]["httpGet"]
        assert asked == {"path": "/health", "port": "http-dashboard"}
        assert asked["port"] in ports
    assert {port["targetPort"] for port in SERVICE["spec"]["ports"]} == ports
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["selector"]["matchLabels"]


def test_the_command_and_settings_of_the_manifest_are_valid():
    name, *args = SCHEDULER["args"]
    assert name == "leandask-scheduler"
    params = main.make_context(name, args).params
    assert (params["host"], params["log_format"]) == ("0.0.0.0", "json")

    env = {item["name"]: item["value"] for item in SCHEDULER["env"]}
    with dask.config.set(dask.config.collect_env(env)):
        config.check()
        assert Retention().budget > 0
        size, backups = (
            config.read("event-log.max-bytes"),
            config.read("event-log.backups"),
        )
    [volume] = [v["emptyDir"] for v in POD["volumes"] if v["name"] == "event-log"]
    assert size * (backups + 1) <= dask.utils.parse_bytes(f"{volume['sizeLimit']}B")


def test_vector_reads_where_the_scheduler_writes():
    vector = yaml.safe_load((DEPLOY / "vector.yaml").read_text())
    params = main.make_context("x", SCHEDULER["args"][1:]).params
    [source] = vector["sources"].values()
    assert params["event_log"] in source["include"]
    assert source["max_line_bytes"] > config.read("stream.record-bytes")
    mounts = {m["name"]: m["mountPath"] for m in VECTOR["volumeMounts"]}
    assert params["event_log"].startswith(mounts["event-log"] + "/")
    assert mounts["vector-data"] == vector["data_dir"]
    # Each part reads from the one before it.
    assert vector["transforms"]["records"]["inputs"] == [*vector["sources"]]
    assert vector["sinks"]["out"]["inputs"] == [*vector["transforms"]]

    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert all((DEPLOY / name).exists() for name in kustomization["resources"])
    [generated] = kustomization["configMapGenerator"]
    [volume] = [v["configMap"] for v in POD["volumes"] if "configMap" in v]
    assert generated == {"name": volume["name"], "files": ["vector.yaml"]}
    assert VECTOR["args"] == ["--config", mounts["vector"] + "/vector.yaml"]


def test_the_values_of_the_helm_chart(start, tmp_path):
    """Its template appends the extra arguments to Dask's command."""
    values = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())["scheduler"]
    env = {item["name"]: item["value"] for item in values["env"]}
    log = tmp_path / "log.jsonl"
    _, file = start(
        *values["extraArgs"],
        command=(DASK, "scheduler"),
        **env | lean_environment(log),
    )
    with Client(scheduler_file=str(file)) as client:
        assert_lean(client, log)
