/** The aligned rows as a view needs them, and which of them are folded away because they are equal. */
import type { Numbers, Packed } from "./packed";
import type { Columns, Compared } from "./wire";

export const OPS = ["=", "~", "+", "-", "move"] as const;
export const SIGNS = ["", "~", "+", "−", "⇄"];
export const WORDS = ["the same", "changed", "only in b", "only in a", "moved"];

/** Equal rows that stay beside a change, and how many more there must be to fold. */
const CONTEXT = 2;
const LEAST = 4;

export interface Parting {
  row: number;
  lasting: boolean;
  said: string;
}

export interface Facts {
  a: string;
  b: string;
  parting: Parting | null;
  setup: (Compared & { row: number })[];
  summary: [what: string, a: string, b: string, apart: string][];
}

export interface Aligned {
  facts: Facts;
  op: ArrayLike<number>;
  a: ArrayLike<number>;
  b: ArrayLike<number>;
  depth: ArrayLike<number>;
  diverges: ArrayLike<number>;
  note(row: number): string;
}

export function aligned({ facts, columns, texts }: Packed): Aligned {
  const of = (name: string): Numbers => columns[name];
  return {
    facts: facts as Facts,
    op: of("op"),
    a: of("a"),
    b: of("b"),
    depth: of("depth"),
    diverges: of("diverges"),
    note: (row) => texts.note.at(row),
  };
}

/** What a saved outline tells: its names begin with their signs. */
export function savedAligned(columns: Columns): Aligned {
  const rows = Array.from({ length: columns.rows }, (_, row) => row);
  const op = rows.map((row) =>
    Math.max(
      0,
      ["", "~ ", "+ ", "- ", "⇄ "].findIndex((sign) => sign !== "" && columns.name(row).startsWith(sign)),
    ),
  );
  const none = new Uint32Array(columns.rows);
  const facts = { a: "", b: "", parting: null, setup: [], summary: [] };
  return { facts, op, a: none, b: none, depth: none, diverges: none, note: () => "" };
}

/** A stretch of equal rows, of which only the number is shown. */
export interface Fold {
  from: number;
  to: number;
}

export function folds(op: ArrayLike<number>, keep: ReadonlySet<number>): Fold[] {
  const found: Fold[] = [];
  const n = op.length;
  for (let from = 0; from < n; ) {
    let to = from;
    while (to < n && op[to] === 0 && !keep.has(to)) to++;
    const [first, last] = [from === 0 ? 0 : from + CONTEXT, to === n ? n : to - CONTEXT];
    if (last - first >= LEAST) found.push({ from: first, to: last });
    from = Math.max(to, from + 1);
  }
  return found;
}
