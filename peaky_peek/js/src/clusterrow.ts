/** How a cluster looks in the list: how bad it is, its name, how often it happens, and whether that gets worse. */
import type { Cluster, Clusters } from "./clusterdata";
import { element } from "./dom";
import { count } from "./format";

const ARROWS: Record<string, string> = { new: "✱", rising: "↗", steady: "→", falling: "↘" };
const MARKS: Record<string, string> = { critical: "▲▲", high: "▲", medium: "■", low: "□" };
const SVG = "http://www.w3.org/2000/svg";
const STEP = 4;
const TALL = 16;

/** Names of the columns, shown where there is room for them side by side. */
export function header(): HTMLElement {
  const names = ["severity", "failure", "failures", "runs", "over time", "first and last seen"];
  const labels = names.map((name, at) => element("span", at === 1 ? "pp-label pp-wide" : "pp-label", name));
  const made = element("div", "pp-cluster pp-labels", element("span", ""), ...labels);
  made.ariaHidden = "true";
  return made;
}

/** The parts of a row; `matching` failures of it pass the filter, all of them without one. */
export function cells(cluster: Cluster, all: Clusters, matching: number, most: number): HTMLElement[] {
  if (cluster.note !== undefined) return [name(cluster), element("span", "pp-saved", cluster.note)];
  const severity = element("span", "pp-severity", `${MARKS[cluster.severity] ?? ""} ${cluster.severity}`);
  severity.dataset.severity = cluster.severity;
  const bar = element("span", "pp-size-bar");
  bar.style.width = `${Math.max(2, (64 * matching) / most)}px`;
  const part = matching < cluster.size ? `${count(matching)} of ` : "";
  const unit = element("span", "pp-unit", cluster.size === 1 ? "failure" : "failures");
  const size = element("span", "pp-size", bar, element("span", "", `${part}${count(cluster.size)}`), unit);
  size.title = count(cluster.size, "failure");
  const runs = element("span", "pp-runs", `${count(cluster.sessions)} of ${count(all.runs, "run")}`);
  const trend = element("span", "pp-trend", `${ARROWS[cluster.trend] ?? ""} ${cluster.trend}`.trim());
  trend.dataset.trend = cluster.trend;
  const time = element("span", "pp-time", sparkline(cluster.history, all.by), trend);
  const seen = element("span", "pp-seen", ...seenText(cluster));
  return [severity, name(cluster), size, runs, time, seen];
}

/** One sentence about a cluster: what a sighted reader takes from its marks and columns. */
export function described(cluster: Cluster, all: Clusters): string {
  if (cluster.note !== undefined) return `${cluster.name}, ${cluster.note}`;
  const parts = [
    cluster.name,
    cluster.severity && `severity ${cluster.severity}`,
    cluster.infrastructure ? "infrastructure" : "agent fault",
    count(cluster.size, "failure"),
    `${count(cluster.sessions)} of ${count(all.runs, "run")}`,
    cluster.trend,
    cluster.last && `last seen ${cluster.last}`,
  ];
  return parts.filter(Boolean).join(", ");
}

function name(cluster: Cluster): HTMLElement {
  const text = element("bdi", "pp-cluster-name", cluster.name);
  text.title = cluster.name;
  const cell = element("span", "pp-wide", text);
  if (cluster.infrastructure) {
    const mark = element("span", "pp-infrastructure", "infrastructure");
    mark.title = "A timeout, a rate limit, a broken connection or a crash: no decision of the agent prevents it";
    cell.append(mark);
  }
  return cell;
}

function seenText({ first, last }: Cluster): (string | HTMLElement)[] {
  if (!last) return [];
  if (first === last) return [last];
  return [element("span", "pp-first", `${first} – `), last];
}

function sparkline(history: readonly number[], by: string): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "pp-sparkline");
  svg.setAttribute("viewBox", `0 0 ${Math.max(1, history.length) * STEP} ${TALL}`);
  svg.style.width = `${history.length * STEP}px`;
  const title = document.createElementNS(SVG, "title");
  title.textContent = by === "day" ? "failures by day" : "failures from the oldest run to the newest";
  svg.append(title);
  const most = Math.max(1, ...history);
  history.forEach((failures, at) => {
    const high = failures ? Math.max(3, (TALL * failures) / most) : 1;
    const rect = document.createElementNS(SVG, "rect");
    const place = { x: at * STEP, y: TALL - high, width: STEP - 1, height: high };
    for (const [attribute, value] of Object.entries(place)) rect.setAttribute(attribute, String(value));
    if (!failures) rect.setAttribute("class", "pp-none");
    svg.append(rect);
  });
  return svg;
}
