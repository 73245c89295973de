import { describe, expect, it, test } from "vitest";
import { EVENT_TYPES, FAMILY_COLORS, familyOf } from "../src/vocabulary";
import { CANCELLED, type Columns, DERIVED, decode, FAILED, RUNNING, SUSPECT, WIRE_VERSION } from "../src/wire";
import { buffers, golden } from "./golden";

function columns(): Columns {
  const { message, buffers: encoded } = golden("columns");
  const reply = decode(message, buffers(encoded));
  if (reply?.type !== "columns") throw new Error(JSON.stringify(reply));
  return reply.columns;
}

test("columns written by Python are read back, wherever their buffers begin", () => {
  const { expect: wanted } = golden("columns");
  const read = columns();
  const rows = Array.from({ length: read.rows }, (_, row) => row);
  const flag = (bit: number) => rows.map((row) => (read.flags[row] & bit) !== 0);
  expect([...read.parent]).toEqual(wanted.parent);
  expect([...read.kind].map((kind) => EVENT_TYPES[kind])).toEqual(wanted.event_type);
  expect(rows.map(read.name)).toEqual(wanted.name);
  expect(flag(FAILED)).toEqual(wanted.failed);
  expect(flag(DERIVED)).toEqual(wanted.derived);
  expect(flag(RUNNING)).toEqual(wanted.running);
  const lines: { duration: string; cost: string }[] = golden("outline");
  expect(rows.map(read.durationText)).toEqual(lines.map(({ duration }) => duration));
  expect(rows.map(read.costText)).toEqual(lines.map(({ cost }) => cost));
});

test("both halves use the same words, colours, flags and version", () => {
  const shared = golden("vocabulary");
  expect(EVENT_TYPES).toEqual(shared.types);
  expect(Object.fromEntries(EVENT_TYPES.map((type, kind) => [type, familyOf(kind, false)]))).toEqual(shared.families);
  expect(FAMILY_COLORS).toEqual(shared.colors);
  expect(WIRE_VERSION).toBe(shared.version);
  expect({ failed: FAILED, suspect: SUSPECT, derived: DERIVED, running: RUNNING, cancelled: CANCELLED }).toEqual(
    shared.flags,
  );
});

test("what failed belongs to risk, whatever its type", () => {
  expect(EVENT_TYPES.map((_, kind) => familyOf(kind, true))).toEqual(EVENT_TYPES.map(() => "risk"));
});

test("a mask is read, and one that is not active shows all", () => {
  const { message, buffers: encoded, expect: wanted } = golden("mask");
  const reply = decode(message, buffers(encoded));
  expect(reply).toMatchObject({ type: "mask", count: 2 });
  expect(reply?.type === "mask" && [...(reply.mask ?? [])].map(Boolean)).toEqual(wanted);
  expect(decode({ type: "mask", active: false, count: 9 }, [])).toMatchObject({ mask: null });
});

test("another version is a sentence, not a broken picture", () => {
  const { message, buffers: encoded } = golden("columns");
  const reply = decode({ ...message, version: 2 }, buffers(encoded));
  expect(reply).toMatchObject({ type: "error", message: expect.stringContaining("restart the kernel") });
});

test("columns that arrive damaged are a sentence too", () => {
  const { message, buffers: encoded } = golden("columns");
  const sound = buffers(encoded);
  const tooFew = decode(message, sound.slice(0, 4));
  const tooShort = decode({ ...message, rows: message.rows + 1 }, sound);
  const loop = [new DataView(Int32Array.from(golden("columns").expect.parent, () => 3).buffer), ...sound.slice(1)];
  for (const reply of [tooFew, tooShort, decode(message, loop)]) expect(reply).toMatchObject({ type: "error" });
});

test("other messages are passed over", () => {
  expect(decode({ type: "somebody else's" }, [])).toBeNull();
  expect(decode(null, [])).toBeNull();
});

describe("a packed message", () => {
  const { message, buffers: encoded, expect: expected } = golden("packed");

  it("brings numbers, texts and facts", () => {
    const reply = decode(message, buffers(encoded));
    if (reply?.type !== "packed") throw new Error("it was not understood");
    expect([reply.kind, reply.facts, reply.request]).toEqual(["lanes", { zoom: 2 }, { type: "lanes" }]);
    expect(Array.from(reply.columns.row)).toEqual(expected.columns.row);
    expect(Array.from(reply.columns.share)).toEqual(expected.columns.share);
    expect(Array.from(reply.columns.shown, Boolean)).toEqual(expected.columns.shown);
    expect([0, 1, 2].map(reply.texts.label.at)).toEqual(expected.texts.label);
  });

  it("that has lost a column is an error", () => {
    expect(decode(message, buffers(encoded.slice(1)))).toMatchObject({ type: "error" });
  });
});
