/** Event types, families and colours. The tests compare `vocabulary.json` with `events.py` and `vocabulary.py`. */
import vocabulary from "./vocabulary.json";

export type Family = keyof typeof vocabulary.colors;

export const FAMILY_COLORS: Record<Family, { light: string; dark: string }> = vocabulary.colors;
export const FAMILIES = Object.keys(FAMILY_COLORS) as Family[];

/** The order is part of the wire contract: a `kind` is an index into it. */
export const EVENT_TYPES = Object.keys(vocabulary.families);
const FAMILY_OF_KIND = Object.values(vocabulary.families) as Family[];

export function familyOf(kind: number, failed: boolean): Family {
  return failed ? "risk" : (FAMILY_OF_KIND[kind] ?? "session");
}

export function typeLabel(kind: number): string {
  return (EVENT_TYPES[kind] ?? "event").replaceAll("_", " ");
}
