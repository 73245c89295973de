/** The conversation of a session as an anywidget. */
import "./conversationview.css";
import { ConversationView } from "./lines";
import { widget } from "./shell";

export default widget("conversation", (host, theme) => new ConversationView(theme, host));
