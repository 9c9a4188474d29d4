import "./convert";
import "./message";
import "./tokens";
import "./api";
import "./tools";
import "./jitterbuffer";
import "./playback";
import "./speaker";
import "./resample";
import "./gate";
import "./microphone";
import "./camera";
import "./life";
import "./doctor";
import "./lifeline";
import "./record";
import "./captions";

export { names, run } from "./harness";
