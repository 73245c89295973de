/** The outline that is saved with the notebook, for when no kernel answers. */
import { count } from "./format";
import type { OutlineRow } from "./model";
import { EVENT_TYPES } from "./vocabulary";
import { type Columns, FAILED, SUSPECT } from "./wire";

const GAP = EVENT_TYPES.length;

export function savedColumns(outline: OutlineRow[]): Columns & { preview(row: number): string } {
  const rows = outline.length;
  const path: number[] = [];
  const parent = Int32Array.from(outline, (line, row) => {
    const next = outline[row + 1];
    const depth = "gap" in line ? (next && "depth" in next ? next.depth : path.length) : line.depth;
    path.length = Math.min(depth, path.length);
    path.push(row);
    return path.at(-2) ?? -1;
  });
  return {
    rows,
    parent,
    kind: Uint8Array.from(outline, (line) => ("gap" in line ? GAP : EVENT_TYPES.indexOf(line.type))),
    flags: Uint8Array.from(outline, (line) => {
      return (line.failed ? FAILED : 0) | ("suspect" in line && line.suspect ? SUSPECT : 0);
    }),
    importance: new Uint8Array(rows).fill(128),
    duration: new Float32Array(rows).fill(Number.NaN),
    cost: new Float32Array(rows).fill(Number.NaN),
    name: (row) => {
      const line = outline[row];
      if (!("gap" in line)) return line.label;
      return `… ${count(line.gap, "more step")}${line.failed ? `, ${count(line.failed)} failed` : ""}`;
    },
    preview: (row) => text(outline[row], "text"),
    durationText: (row) => text(outline[row], "duration"),
    costText: (row) => text(outline[row], "cost"),
  };
}

function text(line: OutlineRow, field: "text" | "duration" | "cost"): string {
  return "gap" in line ? "" : line[field];
}
