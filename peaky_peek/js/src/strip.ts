/** The strip below the headline of a run: what it does now and for how long, what it cost, what is odd about it. */
import { element } from "./dom";
import { duration } from "./format";
import type { Growing } from "./growing";

export interface Facts {
  session: string | null;
  status: string;
  rows: number;
  open: [row: number, ms: number | null][];
  /** The step that is done now; null when none is. */
  now: { text: string; row: number; ms: number | null } | null;
  cost: string;
  loop: { text: string; what: string; row: number } | null;
  alerts: { text: string; severity: string; row: number }[];
  alerted: number;
  sessions: [id: string, name: string][];
}

export interface Actions {
  /** The user wants to follow another run. */
  watch(session: string): void;
  /** The user wants to see the step that an alert is about. */
  select(row: number): void;
}

const ENDED: Record<string, string> = {
  completed: "The run has ended.",
  failed: "The run has failed.",
  interrupted: "The run was interrupted.",
};

export class Strip {
  readonly element = element("div", "pp-live");
  private readonly state = element("span", "pp-live-state");
  private readonly what = element("span", "pp-live-now");
  private readonly clock = element("span", "pp-live-clock");
  private readonly cost = element("span", "pp-live-cost");
  private readonly loop = element("button", "pp-live-loop");
  private readonly choice = element("select", "pp-live-choice");
  private readonly alerts = element("div", "pp-live-alerts");
  private facts: Facts | null = null;
  private arrived = 0;

  constructor(private readonly actions: Actions) {
    this.element.hidden = true;
    this.state.setAttribute("role", "status");
    // Read out when it changes, not five times a second.
    this.clock.ariaHidden = "true";
    this.loop.type = "button";
    this.loop.addEventListener("click", () => {
      if (this.facts?.loop) actions.select(this.facts.loop.row);
    });
    this.choice.title = "Which run to follow";
    this.choice.setAttribute("aria-label", "Which run to follow");
    this.choice.addEventListener("change", () => actions.watch(this.choice.value));
    this.alerts.setAttribute("role", "log");
    this.alerts.setAttribute("aria-label", "Alerts");
    const line = element("div", "pp-live-line", this.state, this.what, this.clock, this.loop, this.cost, this.choice);
    this.element.append(line, this.alerts);
  }

  get running(): boolean {
    return this.facts?.status === "running";
  }

  show(facts: Facts, growing: Growing | null): void {
    this.facts = facts;
    this.arrived = performance.now();
    this.element.hidden = facts.session === null;
    this.element.dataset.status = facts.status;
    set(this.state, this.running ? "now" : (ENDED[facts.status] ?? facts.status));
    set(this.what, this.running ? (facts.now?.text ?? "between two steps") : "");
    set(this.cost, facts.cost);
    this.loop.hidden = facts.loop === null;
    set(this.loop, facts.loop?.text ?? "");
    this.loop.title = facts.loop?.what ?? "";
    this.showChoice(facts);
    this.showAlerts(facts);
    this.tick(growing);
  }

  /** Shows how late it is. */
  tick(growing: Growing | null): void {
    const now = this.facts?.now;
    const since = now && now.ms !== null ? now.ms + performance.now() - this.arrived : null;
    set(this.clock, this.running && now ? duration(growing?.elapsed(now.row) ?? since) : "");
  }

  private showChoice({ sessions, session }: Facts): void {
    const known = sessions.some(([id]) => id === session);
    this.choice.hidden = sessions.length < (known ? 2 : 1);
    const options: [string, string][] = known ? sessions : [[session ?? "", "this run"], ...sessions];
    fill(this.choice, [options, session], () =>
      options.map(([id, name]) => {
        const option = element("option", "", name);
        option.value = id;
        option.selected = id === session;
        return option;
      }),
    );
  }

  private showAlerts({ alerts, alerted }: Facts): void {
    const earlier = alerted - alerts.length;
    fill(this.alerts, [alerts, alerted], () => [
      ...(earlier > 0 ? [element("span", "pp-dim", `${earlier} earlier`)] : []),
      ...alerts.map(({ text, severity, row }) => {
        const alert = element("button", "pp-live-alert", element("bdi", "", text));
        alert.type = "button";
        alert.title = text;
        alert.dataset.severity = severity;
        alert.addEventListener("click", () => this.actions.select(row));
        return alert;
      }),
    ]);
  }
}

/** Makes the children of a place anew, unless they say what they said. */
function fill(place: HTMLElement, said: unknown, make: () => HTMLElement[]): void {
  const text = JSON.stringify(said);
  if (place.dataset.said === text) return;
  place.dataset.said = text;
  place.replaceChildren(...make());
}

function set(place: HTMLElement, text: string): void {
  if (place.textContent !== text) place.textContent = text;
}
