/** The clusters as the kernel sends them: each a row of the columns, and below it a row for each failure in it. */
import type { Packed } from "./packed";
import type { Columns } from "./wire";

const SEVERITIES = ["low", "medium", "high", "critical"];
const TRENDS = ["new", "rising", "steady", "falling"];

/** One group of failures. */
export interface Cluster {
  row: number;
  id: string;
  name: string;
  why: string;
  severity: string;
  infrastructure: boolean;
  /** Nothing when nobody can tell. */
  trend: string;
  /** Failures in each stretch of time. */
  history: readonly number[];
  size: number;
  sessions: number;
  first: string;
  last: string;
  /** The rows of its failures, the newest first. */
  failures: readonly number[];
  /** All that a saved notebook tells about it, as one line. */
  note?: string;
}

export interface Clusters {
  all: Cluster[];
  /** How many runs there are, those without a failure too. */
  runs: number;
  /** What a stretch of the history is: a day or a run. */
  by: string;
}

/** Returns the clusters that the columns and what was sent besides describe. */
export function clustersOf(columns: Columns, sent: Packed): Clusters {
  const heads = Array.from(columns.parent.keys()).filter((row) => columns.parent[row] < 0);
  const { severity, trend, infrastructure, sessions, history } = sent.columns;
  const bins = heads.length > 0 ? history.length / heads.length : 0;
  const { runs, by } = sent.facts;
  return {
    runs,
    by,
    all: heads.map((row, at) => {
      const end = heads[at + 1] ?? columns.rows;
      return {
        row,
        id: sent.texts.id.at(at),
        name: columns.name(row),
        why: sent.texts.why.at(at),
        severity: SEVERITIES[severity[at]] ?? "",
        infrastructure: infrastructure[at] === 1,
        trend: TRENDS[trend[at]] ?? "",
        history: Array.from(history.subarray(at * bins, (at + 1) * bins)),
        size: end - row - 1,
        sessions: sessions[at],
        first: sent.texts.first.at(at),
        last: sent.texts.last.at(at),
        failures: Array.from({ length: end - row - 1 }, (_, place) => row + 1 + place),
      };
    }),
  };
}

/** The clusters of a saved notebook, when no kernel answers. */
export function savedClusters(columns: Columns, preview: (row: number) => string): Clusters {
  const unknown = { why: "", severity: "", infrastructure: false, trend: "", first: "", last: "" };
  const none = { history: [], size: 0, sessions: 0, failures: [] };
  const all = Array.from({ length: columns.rows }, (_, row) => {
    return { row, id: String(row), name: columns.name(row), note: preview(row), ...unknown, ...none };
  });
  return { all, runs: 0, by: "run" };
}
