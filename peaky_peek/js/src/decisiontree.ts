/** The decision tree: an outline, or nodes and links; with what led to the selected step, and where time stands. */
import { group, tool } from "./buttons";
import type { Context } from "./canvas";
import { Causes } from "./causes";
import type { Unsubscribe } from "./model";
import type { Forks } from "./nodelink";
import type { Packed } from "./packed";
import type { Picture } from "./picture";
import type { Scene } from "./scene";
import type { Host } from "./shell";
import type { Theme } from "./theme";
import { Times } from "./times";
import { TreeView } from "./view";
import type { Columns } from "./wire";

export class DecisionTreeView extends TreeView {
  readonly #switch = tool("fork", "Outline or nodes and links (l)", () => this.typed("l"));
  readonly #causes: Causes;
  readonly #end: Unsubscribe;
  #times: Times | null = null;
  /** The drawing of nodes and links, once somebody wanted to see it: it is half as large again as all of this. */
  #links: ((scene: Scene) => Picture) | null = null;
  #loading: Unsubscribe | undefined;

  constructor(theme: Theme, host: Host) {
    super(theme, host);
    this.buttons.unshift(group(this.#switch));
    this.#causes = new Causes(host.model, () => this.invalidate());
    this.#end = host.model.onChange("drawn_as", () => {
      this.draw();
      host.reshaped();
    });
  }

  override show(columns: Columns, preview: (row: number) => string): void {
    this.#causes.ask([]);
    this.#times?.close();
    super.show(columns, preview);
    const scene = this.scene as Scene;
    this.#times = new Times(this.host.model, scene, () => {
      if (scene.now >= 0) this.reveal(scene.now);
      this.invalidate();
    });
  }

  receive(packed: Packed): void {
    const { scene } = this;
    if (packed.kind !== "forks" || !scene) return;
    scene.forks = { ...packed.columns, lists: packed.texts.lists } as unknown as Forks;
    this.measure();
    this.invalidate();
  }

  /** Moves time to an event: marks its step, and dims what had not begun. */
  seek(position: number): void {
    this.#times?.seek(position);
  }

  override close(): void {
    super.close();
    this.#causes.close();
    this.#times?.close();
    this.#loading?.();
    this.#end();
  }

  protected override get settled(): boolean {
    return this.#links !== null || this.host.model.get("drawn_as") !== "node-link";
  }

  protected override paintedAs(scene: Scene): Picture {
    const linked = this.host.model.get("drawn_as") === "node-link";
    this.#switch.ariaPressed = String(linked);
    if (linked && this.#links) return this.#links(scene);
    if (linked) this.#loading ??= this.host.model.fetch({ type: "links" }, this.#load, this.host.say);
    return super.paintedAs(scene);
  }

  readonly #load = async ({ facts }: Packed): Promise<void> => {
    if (this.#links) return;
    const url = URL.createObjectURL(new Blob([facts.script], { type: "text/javascript" }));
    this.#links = (await import(url)).default;
    URL.revokeObjectURL(url);
    this.draw();
    this.host.reshaped();
  };

  protected override paintOver(context: Context, picture: Picture, height: number): void {
    this.#causes.paint(context, picture, this.theme, height);
  }

  protected override titleAt(x: number, y: number): string {
    return this.#causes.at(x, y);
  }

  protected override chosen(rows: readonly number[]): void {
    this.#causes.ask(rows);
  }

  protected override typed(key: string): boolean {
    if (key !== "l") return false;
    const { model } = this.host;
    model.set("drawn_as", model.get("drawn_as") === "node-link" ? "outline" : "node-link");
    return true;
  }
}
