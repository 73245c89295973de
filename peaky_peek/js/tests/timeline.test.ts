import { describe, expect, it, vi } from "vitest";
import type { Packed } from "../src/packed";
import { Swimlanes } from "../src/swimlanes";
import { TimeScale, Warp } from "../src/timescale";
import { EVENT_TYPES } from "../src/vocabulary";
import { type Columns, FAILED, RUNNING } from "../src/wire";

const SPAN = EVENT_TYPES.indexOf("agent_start");
const TOOL = EVENT_TYPES.indexOf("tool_call");

interface Step {
  parent?: number;
  kind?: number;
  began: number;
  ms?: number;
  lane?: number;
  flags?: number;
}

function lanesOf(steps: Step[], order: number[]): Swimlanes {
  const columns: Columns = {
    rows: steps.length,
    parent: Int32Array.from(steps, (step) => step.parent ?? -1),
    kind: Uint8Array.from(steps, (step) => step.kind ?? TOOL),
    flags: Uint8Array.from(steps, (step) => step.flags ?? 0),
    importance: new Uint8Array(steps.length),
    duration: Float32Array.from(steps, (step) => step.ms ?? Number.NaN),
    cost: new Float32Array(steps.length),
    name: (row) => `step ${row}`,
    durationText: () => "",
    costText: () => "",
  };
  const packed: Packed = {
    type: "packed",
    kind: "lanes",
    facts: {},
    columns: {
      began: Float32Array.from(steps, (step) => step.began),
      lane: Uint8Array.from(steps, (step) => step.lane ?? 0),
      order: Int32Array.from(order),
      handed: new Int32Array(0),
      from: new Uint16Array(0),
      to: new Uint16Array(0),
    },
    texts: { lanes: { length: 2, at: (lane) => ["planner", "critic"][lane] } },
    request: null,
  };
  return new Swimlanes(columns, packed);
}

describe("swimlanes", () => {
  it("puts what is under way at once below each other, and what is inside an agent below the agent", () => {
    const steps = [
      { kind: SPAN, began: 0, ms: 100 },
      { parent: 0, began: 10, ms: 30 },
      { parent: 0, began: 20, ms: 30 },
      { parent: 0, began: 60, ms: 5 },
      { parent: 0, kind: SPAN, began: 70, ms: 20, lane: 1 },
    ];
    const lanes = lanesOf(steps, [0, 1, 2, 1, 2, 3, 3, 4, 4, 0]);
    expect([...lanes.level]).toEqual([0, 1, 2, 1, 0]);
    expect(lanes.lanes.map((lane) => lane.levels)).toEqual([[[0], [1, 3], [2]], [[4]]]);
  });

  it("knows when each event happened, and which was the last by then", () => {
    const lanes = lanesOf(
      [
        { kind: SPAN, began: 0, ms: 100 },
        { parent: 0, began: 10, ms: 30 },
      ],
      [0, 1, 1, 0],
    );
    expect([0, 1, 2, 3].map((position) => lanes.momentOf(position))).toEqual([0, 10, 40, 100]);
    expect([0, 9, 10, 50, 1e9].map((moment) => lanes.positionAt(moment))).toEqual([0, 0, 1, 2, 3]);
  });

  it("lets what runs go on to the end, and gives what began at an unknown time the time of what is around it", () => {
    const steps = [
      { kind: SPAN, began: 5, flags: RUNNING },
      { parent: 0, began: Number.NaN, flags: RUNNING },
      { parent: 0, began: 50, ms: 10, flags: FAILED },
    ];
    const lanes = lanesOf(steps, [0, 1, 2, 2]);
    expect(lanes.begin[1]).toBe(5);
    expect([...lanes.end]).toEqual([60, 60, 60]);
    expect(lanes.rank(2)).toBeGreaterThan(lanes.rank(0));
  });

  it("finds the pauses in which nothing was under way", () => {
    const steps = [
      { kind: SPAN, began: 0, ms: 1000 },
      { parent: 0, began: 0, ms: 100 },
      { parent: 0, began: 900, ms: 50 },
    ];
    expect(lanesOf(steps, [0, 1, 1, 2, 2, 0]).pauses()).toEqual([{ from: 100, to: 900 }]);
  });
});

describe("the scale of a timeline", () => {
  it("leads from moments to pixels and back, also over shortened pauses", () => {
    const scale = new TimeScale(new Warp(1000, [{ from: 100, to: 900 }], 20));
    scale.width = 440;
    expect(scale.x(100)).toBeCloseTo(200);
    expect(scale.x(900)).toBeCloseTo(240);
    for (const moment of [0, 50, 100, 500, 900, 1000]) expect(scale.moment(scale.x(moment))).toBeCloseTo(moment, 5);
  });

  it("zooms around a place, pans inside what there is, and brings moments into view", () => {
    const scale = new TimeScale(new Warp(1000));
    scale.width = 500;
    scale.zoom(10, 250);
    expect(scale.moment(250)).toBeCloseTo(500);
    expect(scale.panBy(1e6)).toBe(true);
    expect(scale.moment(500)).toBeCloseTo(1000);
    expect(scale.panBy(10)).toBe(false);
    scale.reveal(10, 20);
    expect(scale.x(10)).toBeGreaterThanOrEqual(0);
    expect(scale.x(20)).toBeLessThanOrEqual(500);
    scale.reset();
    expect(scale.isWhole).toBe(true);
  });

  it("has round ticks that keep away from each other, none in a pause", () => {
    const scale = new TimeScale(new Warp(1000));
    scale.width = 500;
    expect(scale.ticks().map(({ label }) => label)).toEqual(["0", "200 ms", "400 ms", "600 ms", "800 ms", "1.0 s"]);
    scale.bend(new Warp(1000, [{ from: 100, to: 900 }], 20));
    const at = scale.ticks().map(({ x }) => scale.moment(x));
    expect(at.every((moment) => moment <= 100.01 || moment >= 899.99)).toBe(true);
    expect(new TimeScale(new Warp(0)).ticks().length).toBeLessThan(20);
  });
});

async function painter(): Promise<typeof import("../src/timepaint")> {
  const Path = vi.fn(function path() {
    return new Proxy({}, { get: () => () => undefined });
  });
  vi.stubGlobal("Path2D", Path);
  return await import("../src/timepaint");
}

describe("what a lane with more at once than it has levels says", () => {
  it("is never written over itself", async () => {
    const { paint } = await painter();
    const steps = Array.from({ length: 12 }, (_, at) => ({ began: at * 4, ms: 50 }));
    const lanes = lanesOf(steps, [...steps.keys(), ...steps.keys()]);
    const scale = new TimeScale(new Warp(lanes.total, []));
    scale.width = 800;
    const written = new Map<number, { from: number; to: number }[]>();
    const context = new Proxy({} as Record<string, unknown>, {
      get: (state, name) => {
        if (name === "measureText") return (text: string) => ({ width: 6 * text.length });
        if (name === "fillText")
          return (text: string, from: number, y: number) => {
            if (text.startsWith("step"))
              written.set(y, [...(written.get(y) ?? []), { from, to: from + 6 * text.length }]);
          };
        return name in state ? state[name as string] : () => undefined;
      },
      set: (state, name, value) => Reflect.set(state, name, value),
    });
    const theme = new Proxy({}, { get: (_, name) => (name === "family" ? {} : String(name)) });
    const picture = { lanes, scale, theme, selected: new Set(), mask: null, gutter: 0, origin: 0, scrolled: 0 };
    paint(
      context as never,
      { ...picture, cursor: -1, hover: -1, focused: false, moment: Number.NaN } as never,
      800,
      300,
    );
    expect(written.size).toBeGreaterThan(4);
    for (const row of written.values())
      for (const [at, { from }] of row.entries()) if (at > 0) expect(from).toBeGreaterThan(row[at - 1].to);
  });

  it("is in view as long as it lasts, though others that began later are over", async () => {
    const { firstInView } = await painter();
    const steps = [
      { began: 0, ms: 90 },
      ...Array.from({ length: 20 }, (_, at) => ({ began: 1 + at, ms: at < 5 ? 95 : 1 })),
    ];
    const lanes = lanesOf(steps, [...steps.keys(), ...steps.keys()]);
    const last = lanes.lanes[0].levels[5];
    const [lasting] = last.filter((row) => lanes.end[row] > 80);
    expect(last.indexOf(lasting)).toBeGreaterThanOrEqual(firstInView(lanes, last, 60));
  });
});
