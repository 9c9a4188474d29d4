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

export { names, run } from "./harness";
