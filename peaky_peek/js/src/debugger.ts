/**
 * Several views of one session side by side. Each is the whole widget of its own name, whose script the kernel sends;
 * they share one model, so that a click in one moves the others without a way through the kernel.
 */
import { tool } from "./buttons";
import "./card.css";
import "./debugger.css";
import { element } from "./dom";
import type { AnyModel, Unsubscribe } from "./model";
import { Model } from "./model";
import "./peek.css";
import "./replay.css";
import type { Peek } from "./shell";
import "./why.css";
import { onThemeChange, readTheme } from "./theme";

interface Pane {
  name: string;
  /** What part of the whole height it takes. */
  share: number;
}

/** The rows of panes, from the top. The first pane has the headline and the filter for all. */
const ROWS: Pane[][] = [
  [
    { name: "tree", share: 0.45 },
    { name: "why", share: 0.45 },
  ],
  [{ name: "replay", share: 0.55 }],
];

interface Widget {
  render(context: { model: AnyModel; el: HTMLElement }): Unsubscribe;
}

function render({ model: any, el }: { model: AnyModel; el: HTMLElement }): Unsubscribe {
  const model = new Model(any);
  const ends: Unsubscribe[] = [];
  const root = element("div", "pp-root pp-debugger");
  root.dataset.view = "debugger";
  el.replaceChildren(root);
  readTheme(root);
  ends.push(onThemeChange(() => readTheme(root)));

  const resized = new Set<() => void>();
  const fillWindow = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen().catch(() => note.replaceChildren("The page does not let a view fill the window."));
  };
  const fill = tool("fill", "Fill the window (f)", fillWindow);
  const note = element("div", "pp-note");
  note.setAttribute("role", "status");
  fill.classList.add("pp-fill");
  root.append(fill, note);
  root.addEventListener("keydown", (event) => {
    if (event.key === "f" && !(event.target as HTMLElement).matches("input, select")) fillWindow();
  });
  root.addEventListener("fullscreenchange", () => {
    for (const changed of resized) changed();
  });

  const sent = new Set<string>();
  /** What the panes share; what each of them tells the kernel on its own behalf is told once for all. */
  const shared = (share: number): AnyModel => ({
    get: (name) => (name === "height" ? Math.round(height() * share) : any.get(name)),
    set: (name, value) => any.set(name, value),
    save_changes: () => any.save_changes(),
    on(event, handler) {
      if (event === "change:height") resized.add(handler as () => void);
      any.on(event, handler);
    },
    off(event, handler) {
      resized.delete(handler as () => void);
      any.off(event, handler);
    },
    send(message) {
      const { type } = message as { type: string };
      if (type !== "hello" && type !== "bye") return any.send(message);
      if (sent.has(type)) return;
      sent.add(type);
      // When all panes are there to hear the answer.
      queueMicrotask(() => {
        any.send(message);
        sent.delete(type);
      });
    },
    widget_manager: any.widget_manager,
  });

  function height(): number {
    return document.fullscreenElement === root ? window.innerHeight - 8 : model.get("height");
  }

  const panes = ROWS.flat();
  const scripts = panes.map(({ name }) => load(model, name, ends));
  Promise.all(scripts).then(
    (widgets) => {
      if (!root.isConnected && !el.contains(root)) return;
      let next = 0;
      for (const row of ROWS) {
        const line = element("div", "pp-panes");
        root.append(line); // a pane that is in the page knows its colours
        for (const { name, share } of row) {
          const pane = element("section", "pp-pane");
          pane.dataset.pane = name;
          pane.setAttribute("aria-label", name);
          line.append(pane);
          ends.push(widgets[next++].render({ model: shared(share), el: pane }));
        }
      }
      const first = root.querySelector<HTMLElement & { __peek: Peek }>(".pp-pane > .pp-root");
      Object.assign(root, { __peek: first?.__peek });
    },
    (sentence) => {
      note.textContent = String(sentence);
    },
  );

  return () => {
    for (const end of ends) end();
    root.remove();
  };
}

/** Asks the kernel for the script of a widget and runs it. */
function load(model: Model, name: string, ends: Unsubscribe[]): Promise<Widget> {
  return new Promise((resolve, reject) => {
    const stop = model.fetch(
      { type: "script", name },
      async ({ facts }) => {
        const url = URL.createObjectURL(new Blob([facts.script], { type: "text/javascript" }));
        try {
          resolve((await import(/* @vite-ignore */ url)).default);
        } catch (error) {
          reject(error);
        } finally {
          URL.revokeObjectURL(url);
        }
      },
      reject,
    );
    ends.push(stop);
  });
}

export default { render };
