"""Plays docker, kind, minikube or kubectl, whichever name it is copied to in FOLDER/bin.

FOLDER/facts.json says what is there, FOLDER/calls gets each command line.
"""

import json
import sys
from pathlib import Path
from typing import Any

UNKNOWN = 'error: the server doesn\'t have a resource type "{}"'
OURS = {"app.kubernetes.io/part-of": "kubestore"}


def fail(text: str, code: int = 1) -> None:
    print(text, file=sys.stderr)
    sys.exit(code)


def docker(words: list[str], facts: dict[str, Any]) -> str:
    if words == ["--version"]:
        return "Docker version 29.1.0, build 1234567"
    if facts.get("daemon") == "stopped":
        print('{"ServerErrors":["Cannot connect"]}')
        fail("Cannot connect to the Docker daemon")
    if words[0] == "info":
        return json.dumps({"MemTotal": facts.get("memory", 8) * 2**30, "NCPU": facts.get("cpus", 4)})
    return "true" if facts.get("kind") == "running" else "false"


def kind(words: list[str], facts: dict[str, Any]) -> str:
    if words == ["version"]:
        return f"kind {facts.get('kind-version', 'v0.33.0')} go1.25.0 linux/amd64"
    return "kubestore" if words[:2] == ["get", "clusters"] and "kind" in facts else ""


def minikube(words: list[str], facts: dict[str, Any]) -> str:
    if words[0] == "version":
        return "v1.39.0"
    state = facts.get("minikube")
    return json.dumps({"invalid": [], "valid": [{"Name": "kubestore", "Status": state}] if state else []})


def kubectl(words: list[str], facts: dict[str, Any]) -> str:
    if words[:2] == ["config", "current-context"]:
        return (
            str(facts["context"]) if facts.get("context") else str(fail("error: current-context is not set"))
        )
    if words[:2] == ["version", "--client"]:
        return json.dumps({"clientVersion": {"gitVersion": facts.get("client", "v1.37.1")}})
    words = words[2:] if words[0] == "--context" else words
    if facts.get("server") is None:
        fail(
            "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
        )
    if words[0] == "version":
        return json.dumps({"serverVersion": {"gitVersion": facts["server"]}})
    if words[:2] == ["auth", "can-i"]:
        return "no" if facts.get("rights") == "few" else "yes"
    return get(words[1:], facts) if words[0] == "get" else ""


def get(words: list[str], facts: dict[str, Any]) -> str:
    if facts.get("flaky") in words:
        fail("Unable to connect to the server: net/http: TLS handshake timeout")
    if words[0] == "--raw=/readyz":
        return "ok"
    options = [words.index(word) for word in ("-n", "-l") if word in words]
    taken = {at for index in options for at in (index, index + 1)}
    names = [
        word
        for at, word in enumerate(words)
        if at not in taken and not word.startswith("-") and word != "json"
    ]
    namespace = words[words.index("-n") + 1] if "-n" in words else ""
    if names[0] == "storageclasses.storage.k8s.io":
        marked = {"storageclass.kubernetes.io/is-default-class": "true"} if facts.get("classes") else {}
        return json.dumps({"items": [{"metadata": {"name": "standard", "annotations": marked}}]})
    if names[0].startswith("applications") and "crd/applications.argoproj.io" not in facts.get("objects", {}):
        fail(UNKNOWN.format("applications"))
    if len(names) == 1:
        return json.dumps(
            {"items": facts.get("lists", {}).get("/".join(filter(None, (namespace, names[0]))), [])}
        )
    found = facts.get("objects", {}).get("/".join(filter(None, (namespace, *names))))
    return "" if found is None else json.dumps(found)


def main() -> None:
    me, *words = sys.argv
    folder, program = Path(me).parents[1], Path(me).name
    with (folder / "calls").open("a") as calls:
        calls.write(" ".join([program, *words]) + "\n")
    facts = json.loads((folder / "facts.json").read_text())
    print({"docker": docker, "kind": kind, "minikube": minikube, "kubectl": kubectl}[program](words, facts))


if __name__ == "__main__":
    main()
