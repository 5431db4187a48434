#!/usr/bin/env python3
"""The files of deploy/ against the tools that read them, and against docs/metrics.md.

promtool (Prometheus' own) checks the alert rules, runs their tests and reads the dashboard's
queries; systemd-analyze judges the unit; kubectl builds the manifests; the binary reads the
configuration that the manifests carry. A tool that is absent is told loudly, and the rest is done
all the same. What no tool knows is checked here: that every metric, label and label value that an
alert or a panel names stands in docs/metrics.md, and that every alert has a test in which it fires
and one in which it does not. Any problem is printed and ends with exit code 3.

promtool is $INSIGHTD_PROMTOOL, else the one in PATH. Needs PyYAML beside the standard library.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import yaml

import common

DEPLOY = common.ROOT / "deploy"
CATALOGUE = common.ROOT / "docs/metrics.md"

# What Prometheus adds itself.
FOREIGN_METRICS = {"up": {}, "ALERTS": {"alertname": None, "alertstate": None}}
FOREIGN_LABELS = {"job", "instance"}
SEVERITIES = {"critical", "warning", "info"}
PANELS_MAX = 22
# systemd's own scale, from 0, safe, to 10. A service that talks to the network cannot reach 0.
EXPOSURE_MAX = 1.5

problems = []
skipped = []


def problem(text):
    problems.append(text)
    print(f"PROBLEM: {text}")


def skip(text):
    skipped.append(text)
    print(f"SKIPPED: {text}")


def load(path, read):
    """A parsed file of deploy/; one that cannot be parsed ends the judge."""
    try:
        return read((DEPLOY / path).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        problem(f"{path} cannot be read: {error}")
        sys.exit(3)


# --- the catalogue ----------------------------------------------------------------------------


def read_catalogue():
    """Metric name -> (kind, {label: its values, or None where they are not a written set})."""
    label = re.compile(r"`(\w+)`(?: \(([^)]*)\))?")
    metrics = {}
    for line in CATALOGUE.read_text().splitlines():
        if not line.startswith("| `insightd_"):
            continue
        name, kind, labels = (cell.strip() for cell in line.split("|")[1:4])
        metrics[name.strip("`")] = kind.split(",")[0], {
            key: set(re.findall(r"`(\w+)`", values)) or None
            for key, values in label.findall(labels)
        }
    if not metrics:
        problem(f"no metric found in {CATALOGUE}")
    return metrics


class Names:
    """Names as PromQL may use them: a histogram is only seen as its three series."""

    def __init__(self, metrics):
        self.labels = dict(FOREIGN_METRICS)
        for name, (kind, labels) in metrics.items():
            if kind == "histogram":
                self.labels[name + "_bucket"] = labels | {"le": None}
                self.labels[name + "_sum"] = self.labels[name + "_count"] = labels
            else:
                self.labels[name] = labels
        self.documented = set(metrics)


# --- PromQL, as far as names go ---------------------------------------------------------------

TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[0-9][0-9a-zA-Z.]*|[A-Za-z_:][A-Za-z0-9_:]*|[=!]~|!=|\S'
)
WORDS = {"and", "or", "unless", "offset", "bool", "atan2"}
GROUPINGS = {"by", "on", "without", "ignoring", "group_left", "group_right"}


def parse(expression):
    """[(metric, [(label, operator, value)])] and the labels that by, on and so on name."""
    tokens = TOKEN.findall(re.sub(r"#.*", "", expression)) + ["", ""]
    selectors, grouped = [], []
    at = 0
    while at < len(tokens) - 2:
        token, following = tokens[at], tokens[at + 1]
        at += 1
        if token in GROUPINGS and following == "(":
            end = tokens.index(")", at)
            grouped += [name for name in tokens[at + 1:end] if name != ","]
            at = end + 1
        elif not re.match(r"[A-Za-z_:]", token) or token in WORDS:
            continue
        elif following in ("(", *GROUPINGS):
            continue  # A function or an aggregation.
        elif following == "{":
            end = tokens.index("}", at)
            inner = [part for part in tokens[at + 1:end] if part != ","]
            selectors.append((token, [
                (inner[i], inner[i + 1], inner[i + 2].strip('"')) for i in range(0, len(inner), 3)
            ]))
            at = end + 1
        else:
            selectors.append((token, []))
    return selectors, grouped


def check_expression(where, expression, names):
    """Tells what docs/metrics.md does not know; returns the labels that a result can have."""
    selectors, grouped = parse(expression)
    if not selectors:
        problem(f"{where}: no metric in `{expression}`")
    possible = set(FOREIGN_LABELS)
    for metric, matchers in selectors:
        if metric not in names.labels:
            problem(f"{where}: metric `{metric}` is not in docs/metrics.md")
            continue
        labels = names.labels[metric]
        possible |= set(labels)
        for label, operator, value in matchers:
            check_matcher(where, metric, labels, label, operator, value)
    for label in grouped:
        if label not in possible:
            problem(f"{where}: groups by `{label}`, which none of its metrics has")
    return possible


def check_matcher(where, metric, labels, label, operator, value):
    if label in FOREIGN_LABELS:
        return
    if label not in labels:
        problem(f"{where}: `{metric}` has no label `{label}` in docs/metrics.md")
        return
    values = labels[label]
    wanted = value.split("|") if operator in ("=~", "!~") else [value]
    for one in wanted:
        if values and re.fullmatch(r"\w+", one) and one not in values:
            problem(f"{where}: `{metric}` has no {label} \"{one}\" in docs/metrics.md, "
                    f"only {', '.join(sorted(values))}")


def check_prose(where, text, names, possible):
    """Metrics named in a sentence, and the labels that a template fills in."""
    # A topic or a file may also begin so; only words in the catalogue's style are metrics.
    for name in re.findall(r"\binsightd_\w+", text):
        if name not in names.documented and name not in names.labels:
            problem(f"{where}: its text names `{name}`, which is not in docs/metrics.md")
    for label in re.findall(r"\$labels\.(\w+)", text):
        if label not in possible:
            problem(f"{where}: its text names the label `{label}`, which it cannot have")


# --- alerts -----------------------------------------------------------------------------------


def check_alerts(names):
    document = load("prometheus/alerts.yaml", yaml.safe_load)
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    for rule in rules:
        where = rule["alert"]
        possible = check_expression(where, rule["expr"], names)
        if rule.get("labels", {}).get("severity") not in SEVERITIES:
            problem(f"{where}: severity is not one of {', '.join(sorted(SEVERITIES))}")
        for key in ("summary", "description"):
            text = rule.get("annotations", {}).get(key, "")
            if not text.strip():
                problem(f"{where}: no {key}")
            check_prose(where, text, names, possible)
    alerts = [rule["alert"] for rule in rules]
    for name in {name for name in alerts if alerts.count(name) > 1}:
        problem(f"{name}: defined twice")
    cases = check_alert_tests(alerts)
    print(f"alerts: {len(alerts)} rules, {cases} test cases")


def check_alert_tests(alerts):
    document = load("prometheus/alerts_test.yaml", yaml.safe_load)
    fires, silent, cases = set(), set(), 0
    for test in document["tests"]:
        for case in test["promql_expr_test"]:
            cases += 1
            asked = set(re.findall(r'alertname="(\w+)"', case["expr"]))
            seen = {
                name for sample in case["exp_samples"]
                for name in re.findall(r'alertname="(\w+)"', sample["labels"])
            }
            fires |= seen
            silent |= asked - seen
            for name in sorted((asked | seen) - set(alerts)):
                problem(f"alerts_test.yaml: `{test['name']}` asks for {name}, which does not exist")
    for name in alerts:
        if name not in fires:
            problem(f"{name}: no test in which it fires")
        if name not in silent:
            problem(f"{name}: no test in which it does not fire")
    return cases


# --- dashboard --------------------------------------------------------------------------------


def check_dashboard(names):
    """Returns the queries, for promtool."""
    dashboard = load("grafana/insightd.json", json.loads)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    for variable in dashboard["templating"]["list"]:
        for query in re.findall(r"label_values\((.*),", variable.get("definition", "")):
            check_expression(f"variable {variable['name']}", query, names)
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        problem("dashboard: two panels have the same id")
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    if len(panels) > PANELS_MAX:
        problem(f"dashboard: {len(panels)} panels, more than {PANELS_MAX}")
    queries = [note["expr"] for note in dashboard["annotations"]["list"] if "expr" in note]
    for query in queries:
        check_expression("dashboard's annotations", query, names)
    for panel in panels:
        queries += check_panel(panel, names, variables)
    print(f"dashboard: {len(panels)} panels, {len(queries)} queries")
    return queries


def check_panel(panel, names, variables):
    where = f"panel `{panel['title']}`"
    if panel["datasource"]["uid"] != "${datasource}" or "datasource" not in variables:
        problem(f"{where}: does not use the datasource variable")
    if not panel["fieldConfig"]["defaults"].get("unit"):
        problem(f"{where}: no unit")
    if not panel.get("description"):
        problem(f"{where}: no description")
    check_prose(where, panel.get("description", ""), names, set())
    queries = [target["expr"] for target in panel.get("targets", []) if target.get("expr")]
    if not queries:
        problem(f"{where}: no target")
    for target in panel.get("targets", []):
        expression = target.get("expr", "")
        possible = check_expression(where, expression, names)
        for variable in re.findall(r"\$(\w+)", expression):
            if variable not in variables | {"__rate_interval"}:
                problem(f"{where}: no variable `{variable}`")
        grouped = parse(expression)[1]
        for label in re.findall(r"\{\{ *(\w+) *\}\}", target.get("legendFormat", "")):
            if label not in (grouped or possible):
                problem(f"{where}: its legend names `{label}`, which the result does not have")
    return queries


# --- Prometheus' own word ---------------------------------------------------------------------


def check_promtool(queries):
    tool = os.environ.get("INSIGHTD_PROMTOOL") or shutil.which("promtool")
    if not tool or not shutil.which(tool):
        skip("promtool is absent (set INSIGHTD_PROMTOOL): neither the alert rules nor their tests "
             "nor the dashboard's queries were run")
        return
    folder = DEPLOY / "prometheus"
    command("promtool", tool, "check", "rules", "--lint-fatal", folder / "alerts.yaml")
    command("promtool", tool, "test", "rules", folder / "alerts_test.yaml")
    command("promtool", tool, "check", "config", folder / "prometheus.yaml")
    rules = [
        {"record": f"dashboard:query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    with common.scratch() as scratch:
        path = pathlib.Path(scratch) / "dashboard.yaml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
        command("promtool", tool, "check", "rules", path)


def command(name, *arguments, wants_silence=False):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    told = (done.stdout + done.stderr).strip()
    what = " ".join(str(a).replace(f"{common.ROOT}/", "") for a in arguments[1:])
    if done.returncode != 0 or (wants_silence and told):
        problem(f"{name} {what} ended with {done.returncode}:\n{told[-4000:]}")
    else:
        print(f"{name} {what}: ok")
    return done.stdout


# --- systemd, Kubernetes, the configuration ---------------------------------------------------


def check_systemd():
    unit = DEPLOY / "systemd/insightd.service"
    tool = shutil.which("systemd-analyze")
    if not tool:
        skip("systemd-analyze is absent: the unit was not verified")
        return
    with common.scratch() as scratch:
        # Verifying wants the program to exist; any will do. It tells a key that it does not know
        # without failing.
        copy = pathlib.Path(scratch) / unit.name
        copy.write_text(unit.read_text().replace("/usr/bin/insightd", sys.executable))
        command("systemd-analyze", tool, "verify", "--man=no", copy, wants_silence=True)
    told = command("systemd-analyze", tool, "security", "--offline=true", "--no-pager", unit)
    level = re.search(r"exposure level for \S+: ([0-9.]+)", told)
    if not level or float(level[1]) > EXPOSURE_MAX:
        problem(f"systemd-analyze: exposure level {level and level[1]}, at most {EXPOSURE_MAX}")
    else:
        print(f"systemd: exposure level {level[1]}")


def check_kubernetes():
    """Returns the configuration that the manifests carry."""
    folder = DEPLOY / "kubernetes"
    documents = {}
    for path in sorted(folder.glob("*.yaml")):
        for document in load(path, lambda text: list(yaml.safe_load_all(text))):
            missing = [key for key in ("apiVersion", "kind") if key not in document]
            if missing:
                problem(f"kubernetes/{path.name}: no {' and no '.join(missing)}")
                continue
            documents[document["kind"]] = document
    for name in documents["Kustomization"]["resources"]:
        if not (folder / name).is_file():
            problem(f"kubernetes/kustomization.yaml: {name} does not exist")
    check_pod(documents["StatefulSet"]["spec"]["template"])
    for kind, select in (
        ("Service", lambda spec: spec["selector"]),
        ("StatefulSet", lambda spec: spec["selector"]["matchLabels"]),
        ("PodDisruptionBudget", lambda spec: spec["selector"]["matchLabels"]),
        ("PodMonitor", lambda spec: spec["selector"]["matchLabels"]),
    ):
        labels = documents["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
        if not select(documents[kind]["spec"]).items() <= labels.items():
            problem(f"kubernetes: the selector of {kind} does not find the pods")
    if shutil.which("kubectl"):
        command("kubectl", "kubectl", "kustomize", folder)
    else:
        skip("kubectl is absent: the kustomization was not built")
    print(f"kubernetes: {len(documents)} documents")
    return documents["ConfigMap"]["data"]["insightd.toml"]


def check_pod(template):
    """What the service promises: where it listens, and that it drains within 30 s."""
    spec = template["spec"]
    container = spec["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    if ports.get("metrics") != 9469:
        problem(f"kubernetes: the port `metrics` is {ports.get('metrics')}, not 9469")
    if spec["terminationGracePeriodSeconds"] != 30:
        problem("kubernetes: the grace period is not 30 s")
    for probe, path in (("livenessProbe", "/live"), ("readinessProbe", "/ready")):
        if container[probe]["httpGet"] != {"path": path, "port": "metrics"}:
            problem(f"kubernetes: {probe} does not ask {path}")


def check_configuration(text):
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem(f"kubernetes/configmap.yaml: insightd.toml is not TOML: {error}")
        return
    if not common.BINARY.exists():
        skip(f"no binary at {common.BINARY}: the manifests' configuration was not checked")
        return
    schema = json.loads(common.run("config", "schema").stdout)
    if "kafka" not in schema.get("properties", {}):
        skip("this binary knows no [kafka]: the manifests' configuration was not checked")
        return
    with common.scratch() as scratch:
        secrets = pathlib.Path(scratch) / "secrets"
        secrets.mkdir()
        # Files that only the pod has are put where the check can read them.
        for name in set(re.findall(r'"/run/secrets/insightd/([^"]+)"', text)):
            (secrets / name).write_text("secret")
        config = pathlib.Path(scratch) / "insightd.toml"
        config.write_text(text.replace("/run/secrets/insightd", str(secrets)))
        command("insightd", common.BINARY, "config", "check", "-c", config)


def main():
    names = Names(read_catalogue())
    check_alerts(names)
    queries = check_dashboard(names)
    check_promtool(queries)
    check_systemd()
    configuration = check_kubernetes()
    check_configuration(configuration)
    print(f"deploy: {len(problems)} problems, {len(skipped)} skipped")
    sys.exit(3 if problems else 0)


if __name__ == "__main__":
    main()
