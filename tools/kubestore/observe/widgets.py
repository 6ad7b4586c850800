"""Parts of a dashboard, as this repository draws them: one query, one unit and one sentence a panel at least."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLOURS = ("green", "orange", "red")
HEIGHT = 8


@dataclass(frozen=True)
class Query:
    """PromQL and the name of each of its series, such as `{{pod}}`."""

    expr: str
    legend: str

    def target(self, number: int) -> prometheus.Dataquery:
        """The query number `number` of a panel, from 0."""
        return (
            prometheus.Dataquery()
            .expr(self.expr)
            .legend_format(self.legend)
            .ref_id(chr(ord("A") + number))
            .datasource(SOURCE)
            .range()
        )


def bounds(*values: float) -> builders.ThresholdsConfig:
    """Green below the first of `values`, orange from it on, red from the second on."""
    steps = [models.Threshold(None, COLOURS[0])]
    steps += [
        models.Threshold(value, colour) for value, colour in zip(values, COLOURS[-len(values) :], strict=True)
    ]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def lines(
    title: str,
    unit: str,
    description: str,
    *queries: Query,
    limits: tuple[float, ...] = (),
    stacked: bool = False,
    width: int = 8,
) -> timeseries.Panel:
    """Curves over time. `limits` are drawn as dashed lines; `stacked` adds the series up."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(25 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common_builders.VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
        .span(width)
        .height(HEIGHT)
    )
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if limits:
        panel.thresholds(bounds(*limits)).thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    for number, query in enumerate(queries):
        panel.with_target(query.target(number))
    return panel


def number(
    title: str,
    unit: str,
    description: str,
    query: Query,
    limits: tuple[float, ...] = (),
    width: int = 4,
) -> stat.Panel:
    """The newest value, large, with its curve behind it; its colour follows `limits`."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(width)
        .height(4)
        .with_target(query.target(0))
    )
    return panel.thresholds(bounds(*limits)) if limits else panel


def names(name: str, label: str, query: str, description: str, every: bool = True) -> builders.QueryVariable:
    """A choice among the values that `query` (label_values) finds; `every` allows several and all."""
    variable = (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(every)
        .include_all(every)
    )
    if every:
        variable.all_value(".*").current(models.VariableOption(text=["All"], value=["$__all"]))
    return variable


def versions(expr: str) -> builders.AnnotationQuery:
    """A mark whenever a version of the store is seen for the first time, from `expr` by version."""
    return (
        builders.AnnotationQuery()
        .name("Versions")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("blue")
        .expr(expr)
        .step("15s")
        .title_format("{{version}}")
        .text_format("first pod of {{version}} is scraped")
    )


def board(uid: str, title: str, description: str) -> builders.Dashboard:
    """An empty dashboard with what all have in common: source, times, links to the others."""
    to_others = (
        builders.DashboardLink("KubeStore")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags(["kubestore"])
        .as_dropdown(False)
        .include_vars(False)
        .keep_time(True)
    )
    source = builders.DatasourceVariable("datasource").label("Source").type("prometheus")
    return (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["kubestore"])
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .time("now-1h", "now")
        .refresh("30s")
        .readonly()
        .link(to_others)
        .with_variable(source)
    )
