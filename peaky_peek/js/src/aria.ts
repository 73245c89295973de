/** The tree as assistive technology reads it: the row the keyboard is at stands for all of them. */
import { element } from "./dom";
import { count } from "./format";
import type { Scene } from "./scene";
import { oneLine } from "./text";
import { typeLabel } from "./vocabulary";

export class Reader {
  readonly #item = element("div", "pp-reader");

  constructor(tree: HTMLElement) {
    this.#item.id = `pp-${Math.random().toString(36).slice(2)}`;
    this.#item.setAttribute("role", "treeitem");
    this.#item.setAttribute("aria-live", "polite");
    tree.setAttribute("role", "tree");
    tree.setAttribute("aria-label", "Steps of the session");
    tree.setAttribute("aria-multiselectable", "true");
    tree.setAttribute("aria-activedescendant", this.#item.id);
    tree.append(this.#item);
  }

  read(scene: Scene): void {
    const { outline, cursor } = scene;
    if (outline.count === 0) {
      this.#item.textContent = "";
      return;
    }
    const set = (name: string, value: string | number | boolean) =>
      this.#item.setAttribute(`aria-${name}`, String(value));
    set("level", outline.depth[cursor] + 1);
    set("posinset", outline.place[cursor] + 1);
    set("setsize", outline.count);
    set("selected", scene.selected.has(cursor));
    if (outline.hasChildren(cursor)) set("expanded", !outline.isCollapsed(cursor));
    else this.#item.removeAttribute("aria-expanded");
    const said = describe(scene, cursor);
    if (this.#item.textContent !== said) this.#item.textContent = said;
  }
}

/** One sentence about a row: what a sighted reader takes from its shapes, colours and columns. */
export function describe(scene: Scene, row: number): string {
  const { columns, outline } = scene;
  const hidden = outline.hidden(row);
  const fork = scene.forks?.row.indexOf(row) ?? -1;
  const others = scene.forks && fork >= 0 ? scene.forks.lists.at(scene.forks.list[fork]) : "";
  const parts = [
    oneLine(columns.name(row)),
    typeLabel(columns.kind[row]),
    others && `instead of ${others.replaceAll("\n", ", ")}`,
    scene.failed(row) ? "failed" : "",
    scene.suspect(row) ? "suspect" : "",
    columns.durationText(row),
    columns.costText(row),
    hidden ? `hides ${count(hidden.rows, "step")}` : "",
    hidden?.failed ? `${count(hidden.failed)} of them failed` : "",
    hidden?.suspect ? `${count(hidden.suspect)} of them suspect` : "",
  ];
  return parts.filter(Boolean).join(", ");
}
