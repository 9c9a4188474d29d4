// What runs on the audio thread: one file for both worklets.

import "./microphone.worklet";
import "./speaker.worklet";
