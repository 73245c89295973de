import { readFileSync } from "node:fs";

/** The files that Python's tests hold Python to. */
export function golden(name: string) {
  return JSON.parse(readFileSync(new URL(`../../../tests/fixtures/wire/${name}.json`, import.meta.url), "utf8"));
}

/** Buffers as they may arrive: views into a larger one, at any offset. */
export function buffers(encoded: string[]): DataView[] {
  return encoded.map((text) => {
    const bytes = Buffer.from(text, "base64");
    const around = new Uint8Array(bytes.length + 3);
    around.set(bytes, 3);
    return new DataView(around.buffer, 3);
  });
}
