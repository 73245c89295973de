/** What the keys do in the tree: the same as in any tree, and a few letters more. */
import type { Outline } from "./layout";

export interface Commands {
  /** Goes to the row at `place`; `extend` keeps what was selected. */
  walk(place: number, extend: boolean): void;
  collapse(row: number, collapsed: boolean): void;
  inspect(row: number): void;
  focusFilter(): void;
  escape(): void;
  nextFailure(): void;
  zoom(factor: number): void;
  resetZoom(): void;
}

/** Returns whether the key meant something here. */
export function press(event: KeyboardEvent, outline: Outline, cursor: number, page: number, to: Commands): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const place = outline.place[cursor];
  const last = outline.count - 1;
  const walk = (target: number) => to.walk(Math.min(last, Math.max(0, target)), event.shiftKey);
  const keys: Record<string, () => void> = {
    ArrowDown: () => walk(place + 1),
    ArrowUp: () => walk(place - 1),
    PageDown: () => walk(place + page),
    PageUp: () => walk(place - page),
    Home: () => walk(0),
    End: () => walk(last),
    ArrowRight() {
      if (!outline.hasChildren(cursor)) return;
      if (outline.isCollapsed(cursor)) to.collapse(cursor, false);
      else walk(place + 1);
    },
    ArrowLeft() {
      if (outline.hasChildren(cursor) && !outline.isCollapsed(cursor)) to.collapse(cursor, true);
      else if (outline.parent[cursor] >= 0) walk(outline.place[outline.parent[cursor]]);
    },
    " ": () => to.collapse(cursor, !outline.isCollapsed(cursor)),
    Enter: () => to.inspect(cursor),
    Escape: () => to.escape(),
    "/": () => to.focusFilter(),
    n: () => to.nextFailure(),
    "+": () => to.zoom(1.25),
    "=": () => to.zoom(1.25),
    "-": () => to.zoom(0.8),
    "0": () => to.resetZoom(),
    a: () => to.zoom(0),
  };
  const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
  if (!act || (last < 0 && event.key !== "/" && event.key !== "Escape")) return false;
  act();
  return true;
}
