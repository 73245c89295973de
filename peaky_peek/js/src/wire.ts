/** The browser's half of the wire contract; `peaky_peek/widgets/_wire.py` is the other. Nothing else knows it. */

import * as format from "./format";
import { aligned, type Bytes, bytes, type Packed, unpack } from "./packed";

export const WIRE_VERSION = 1;

export const FAILED = 1;
export const SUSPECT = 2;
export const DERIVED = 4;
export const RUNNING = 8;
export const CANCELLED = 16;

/** One row per step, in preorder. Unknown durations and costs are NaN. */
export interface Columns {
  rows: number;
  /** Row of the parent, always a smaller one; -1 for a root. */
  parent: Int32Array;
  /** Index into EVENT_TYPES. */
  kind: Uint8Array;
  flags: Uint8Array;
  /** 0 to 255. */
  importance: Uint8Array;
  /** Milliseconds. */
  duration: Float32Array;
  /** US dollars. */
  cost: Float32Array;
  name(row: number): string;
  durationText(row: number): string;
  costText(row: number): string;
}

/** The rows of a saved outline at most; of what is longer the kernel tells more. */
export const SAVED = 40;

/** How many steps failed. */
export function failures({ flags }: Columns): number {
  return flags.reduce((sum, one) => sum + (one & FAILED), 0);
}

/** Whether a step is one of some rows, or happened inside of one. */
export function isWithin(columns: Columns, row: number, rows: ReadonlySet<number>): boolean {
  if (rows.size === 0) return false;
  for (let around = row; around >= 0; around = columns.parent[around]) if (rows.has(around)) return true;
  return false;
}

/** A text, or its beginning: then `length` is that of the whole and `path` asks for it. */
export interface Cut {
  text: string;
  length?: number;
  path?: Path;
}
export type Path = (string | number)[];

export interface ToolCall {
  name: string;
  arguments: unknown;
  call_id?: string;
}
export interface Message extends Cut {
  role: string;
  name?: string;
  call_id?: string;
  thinking?: Cut;
  tool_calls?: ToolCall[];
  /** Whether the model had not answered it before. */
  new?: boolean;
}
/** A change at a path: what is the same (=), what only a has (-), what only b has (+). */
export interface Compared {
  path: string;
  words: ["=" | "-" | "+", string][];
}
export type Section = { title: string; open?: boolean } & (
  | { kind: "messages"; messages: Message[] }
  | { kind: "json"; value: unknown }
  | ({ kind: "code"; language: string } & Cut)
  | ({ kind: "text" } & Cut)
  | { kind: "compare"; changes: Compared[] }
  | { kind: "error"; error_type: string; message: Cut; trace?: Cut }
  | { kind: "sides"; sides: { title: string; value: unknown }[] }
  | { kind: "problems"; problems: string[] }
  | { kind: "links"; links: Link[] }
  | { kind: "table"; head: string[]; rows: string[][] }
  | { kind: "choice"; chosen: string; rejected: string[]; confidence: number | null }
  | { kind: "changes"; changes: Change[]; more: number }
  | { kind: "facts"; facts: [string, string][] }
);
/** Another step; `row` is -1 when it is not in this view. */
export interface Link {
  row: number;
  event_id: string;
  name: string;
  type: string;
}
export interface Change {
  path: string;
  change: "added" | "removed" | "changed";
  before: string;
  after: string;
}
export interface Details {
  type: "details";
  row: number;
  title: string;
  subtitle: string;
  event_id: string;
  facts: [string, string][];
  sections: Section[];
}

/** What stands in JSON for what JSON cannot say, and for what was left out. */
export interface Tagged {
  __peek__: string;
  value?: unknown;
  type?: string;
  count?: number;
  length?: number;
  bytes?: number;
  path?: Path;
}

export type Request =
  | { type: "hello"; version: number; view: string }
  | { type: "bye"; view: string }
  | { type: "refresh" }
  | { type: "previews"; start: number; stop: number }
  | { type: "details"; row: number }
  | { type: "more"; row: number; path: Path };

export type Reply =
  | { type: "columns"; columns: Columns }
  | { type: "previews"; start: number; texts: string[] }
  | Details
  | { type: "more"; row: number; path: Path; text: string }
  | { type: "mask"; mask: Uint8Array | null; count: number }
  | Packed
  | { type: "error"; message: string; request?: unknown };

/** Returns what the kernel said, as an error when it cannot be understood, or null when it is none of our business. */
export function decode(message: unknown, buffers: readonly Bytes[]): Reply | null {
  const said = message as { type?: string; version?: number; rows?: number };
  switch (said?.type) {
    case "columns":
    case "packed":
      if (said.version !== WIRE_VERSION) {
        const error = `The kernel speaks version ${said.version} of the view's protocol and this page version ${WIRE_VERSION}: restart the kernel and reload the page.`;
        return { type: "error", message: error };
      }
      try {
        if (said.type === "packed") return unpack(message, buffers);
        return { type: "columns", columns: columns(Number(said.rows), buffers) };
      } catch {
        return { type: "error", message: "The recording arrived damaged: run the cell again." };
      }
    case "mask": {
      const { active, count } = message as { active: boolean; count: number };
      return { type: "mask", mask: active ? bytes(buffers[0]) : null, count };
    }
    case "previews":
    case "details":
    case "more":
    case "error":
      return message as Reply;
    default:
      return null;
  }
}

function columns(rows: number, buffers: readonly Bytes[]): Columns {
  const [parent, kind, flags, importance, duration, cost, codes, offsets, text] = buffers.map(bytes);
  const wide = codes.byteLength === 4 * rows;
  const nameCode = wide ? new Uint32Array(aligned(codes)) : new Uint16Array(aligned(codes));
  const nameOffsets = new Uint32Array(aligned(offsets));
  const names: string[] = [];
  const utf8 = new TextDecoder();
  const durations = new Float32Array(aligned(duration));
  const costs = new Float32Array(aligned(cost));
  const decoded: Columns = {
    rows,
    parent: new Int32Array(aligned(parent)),
    kind,
    flags,
    importance,
    duration: durations,
    cost: costs,
    name(row) {
      const code = nameCode[row];
      names[code] ??= utf8.decode(text.subarray(nameOffsets[code], nameOffsets[code + 1]));
      return names[code];
    },
    durationText: (row) => format.duration(durations[row]),
    costText: (row) => format.cost(costs[row]),
  };
  for (const column of [decoded.parent, kind, flags, importance, decoded.duration, decoded.cost, nameCode]) {
    if (column.length !== rows) throw new RangeError("a column has the wrong length");
  }
  if (decoded.parent.some((parent, row) => parent >= row)) throw new RangeError("a parent follows its child");
  return decoded;
}
