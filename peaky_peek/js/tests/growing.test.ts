import { describe, expect, it } from "vitest";
import { Growing } from "../src/growing";
import type { Packed } from "../src/packed";
import { type Columns, RUNNING } from "../src/wire";

function first(parents: number[]): Columns {
  const rows = parents.length;
  return {
    rows,
    parent: Int32Array.from(parents),
    kind: new Uint8Array(rows),
    flags: new Uint8Array(rows),
    importance: new Uint8Array(rows),
    duration: new Float32Array(rows).fill(Number.NaN),
    cost: new Float32Array(rows).fill(Number.NaN),
    name: (row) => `first ${row}`,
    durationText: () => "",
    costText: () => "",
  };
}

function packed(steps: [row: number, parent: number, flags?: number, ms?: number][]): Packed {
  const texts = { length: steps.length, at: (at: number) => `step ${steps[at][0]}` };
  return {
    type: "packed",
    kind: "live",
    facts: {},
    columns: {
      row: Int32Array.from(steps, ([row]) => row),
      parent: Int32Array.from(steps, ([, parent]) => parent),
      kind: new Uint8Array(steps.length),
      flags: Uint8Array.from(steps, ([, , flags]) => flags ?? 0),
      importance: new Uint8Array(steps.length),
      duration: Float32Array.from(steps, ([, , , ms]) => ms ?? Number.NaN),
      cost: new Float32Array(steps.length),
    },
    texts: { name: texts, preview: texts },
    request: null,
  };
}

describe("steps that become more", () => {
  it("are laid out in preorder whatever order they came in", () => {
    const growing = new Growing(first([-1, 0, 0]));
    growing.take(
      packed([
        [3, 1],
        [4, 0],
        [5, 3],
        [6, -1],
      ]),
    );
    const { order, place, columns } = growing.layOut();
    expect([...order]).toEqual([0, 1, 3, 5, 2, 4, 6]);
    expect([...columns.parent]).toEqual([-1, 0, 1, 2, 0, 0, -1]);
    expect([...order].map((row) => place[row])).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...order.keys()].map(columns.name)).toEqual([
      "first 0",
      "first 1",
      "step 3",
      "step 5",
      "first 2",
      "step 4",
      "step 6",
    ]);
  });

  it("keep their row when they end, and count the time until then", () => {
    const growing = new Growing(first([-1]));
    growing.take(packed([[1, 0, RUNNING]]));
    growing.time([[1, 90_000]]);
    expect(growing.layOut().columns.durationText(1)).toBe("1 m 30 s");
    growing.take(packed([[1, 0, 0, 95_000]]));
    growing.time([]);
    const { columns } = growing.layOut();
    expect([columns.rows, columns.durationText(1)]).toEqual([2, "1 m 35 s"]);
  });

  it("lay out 200,000 in linear time and no recursion", () => {
    const growing = new Growing(first([-1]));
    growing.take(packed(Array.from({ length: 200_000 }, (_, at) => [at + 1, at])));
    expect(growing.layOut().order.at(-1)).toBe(200_000);
  });

  it("have no parent that comes after them", () => {
    const growing = new Growing(first([-1]));
    growing.take(packed([[1, 7]]));
    expect([...growing.layOut().columns.parent]).toEqual([-1, -1]);
  });
});
