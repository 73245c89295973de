/** Whatever a view needs beyond the steps: columns of numbers, columns of texts, and small facts as JSON. */

export type Bytes = DataView | ArrayBuffer | Uint8Array;
export type Numbers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

const ARRAYS = {
  i1: Int8Array,
  u1: Uint8Array,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
  f4: Float32Array,
  f8: Float64Array,
};

/** A column of texts, decoded one by one when they are asked for. */
export interface Texts {
  readonly length: number;
  at(row: number): string;
}

export interface Packed {
  type: "packed";
  kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: each view knows what facts it is sent
  facts: any;
  columns: Record<string, Numbers>;
  texts: Record<string, Texts>;
  /** What this answers; null when nobody asked. */
  request: unknown;
}

interface Header {
  kind: string;
  facts: unknown;
  columns: [name: string, type: keyof typeof ARRAYS][];
  texts: string[];
  request: unknown;
}

/** Throws a RangeError for what cannot be a packed message. */
export function unpack(message: unknown, buffers: readonly Bytes[]): Packed {
  const { kind, facts, columns, texts, request } = message as Header;
  if (buffers.length !== columns.length + 2 * texts.length) throw new RangeError("a column is missing");
  const rest = buffers.map(bytes);
  const next = () => rest.shift() as Uint8Array;
  return {
    type: "packed",
    kind,
    facts,
    columns: Object.fromEntries(columns.map(([name, type]) => [name, new ARRAYS[type](aligned(next()))])),
    texts: Object.fromEntries(texts.map((name) => [name, textColumn(new Uint32Array(aligned(next())), next())])),
    request,
  };
}

function textColumn(offsets: Uint32Array, block: Uint8Array): Texts {
  const utf8 = new TextDecoder();
  return {
    length: offsets.length - 1,
    at: (row) => utf8.decode(block.subarray(offsets[row], offsets[row + 1])),
  };
}

export function bytes(view: Bytes): Uint8Array {
  if (view instanceof ArrayBuffer) return new Uint8Array(view);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** A copy, because nothing promises that a buffer of a message starts at a multiple of its item size. */
export function aligned(view: Uint8Array): ArrayBuffer {
  return view.slice().buffer;
}
