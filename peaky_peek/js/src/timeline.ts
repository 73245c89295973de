/** The timeline of a session as an anywidget. */
import { widget } from "./shell";
import { TimelineView } from "./timelineview";

export default widget("timeline", (host, theme) => new TimelineView(theme, host));
