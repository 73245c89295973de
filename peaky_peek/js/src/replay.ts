/** The replay of a session as an anywidget. */
import { ReplayView } from "./replayview";
import { widget } from "./shell";

export default widget("replay", (host, theme) => new ReplayView(theme, host));
