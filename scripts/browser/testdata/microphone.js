// What a test's page says into its microphone: sound that it makes itself, so that
// nothing but the way of the sound is tested.

const Context = AudioContext;

/** The session's nodes, which it keeps to itself. */
const made = {};

globalThis.AudioWorkletNode = class extends AudioWorkletNode {
  constructor(context, name, options) {
    super(context, name, options);
    made[name] = this;
    if (name === "livevalet-microphone") {
      made.told = []; // "flows", then levels
      this.port.addEventListener("message", ({ data }) => made.told.push(data));
    }
  }
};

/** Has devices of that rate. There is one context, since a busy machine tears what goes from one to another. */
function devicesOf(rate) {
  const context = new Context({ sampleRate: rate });
  globalThis.AudioContext = function () {
    return context;
  };
}

/** Tones of that loudness each, as a microphone hears them. */
function tones(hertz, gain) {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const volume = new GainNode(context, { gain });
  volume.connect(out);
  for (const frequency of hertz) {
    const tone = new OscillatorNode(context, { frequency });
    tone.connect(volume);
    tone.start();
  }
  return { context, volume, source: out.stream };
}

const passes = (context, seconds) => {
  const until = context.currentTime + seconds;
  return new Promise((resolve) => {
    const look = setInterval(() => context.currentTime >= until && resolve(clearInterval(look)), 10);
  });
};

/** A voice of that RMS, in four syllables a second. */
function speech(context, seconds, level) {
  const buffer = new AudioBuffer({ length: seconds * context.sampleRate, sampleRate: context.sampleRate });
  const samples = buffer.getChannelData(0);
  for (let i = 0; i < samples.length; i++) {
    const at = i / context.sampleRate;
    const tones = Math.sin(2 * Math.PI * 210 * at) + Math.sin(2 * Math.PI * 1_130 * at);
    samples[i] = level * 1.63 * Math.sin(Math.PI * 4 * at) ** 2 * tones;
  }
  return new AudioBufferSourceNode(context, { buffer });
}

devicesOf(48_000);

const { connect } = await import("/livevalet.js");

const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
};

Object.assign(globalThis, { connect, devicesOf, tones, passes, speech, made, until });
