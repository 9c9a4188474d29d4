// Talks through the public API alone, and listens to what the speaker's node gives:
// all of it, as the audio thread rendered it.

class Listener {
  session;
  /** When connect was called, by the page's clock. */
  asked;
  heard = [];
  /** What the emulator sent, in base64, when it came, and the words that begin there. */
  sent = [];
  /** When interrupted came, by the page's clock. */
  interrupted;

  #context;
  #pieces = [];
  /** Frames, and that of the context at the first. */
  #recorded = 0;
  #began;

  /** Called in a click. */
  static start(options) {
    const listener = new Listener();
    const taps = listener.#tap();
    listener.asked = performance.now();
    const connecting = Listener.connect({ speaker: { copy: true }, config: { inputAudioTranscription: {}, outputAudioTranscription: {} }, ...options });
    return connecting.then(async (session) => {
      await taps;
      listener.session = session;
      session.speaker.addEventListener("heard", ({ detail }) => listener.heard.push(detail));
      session.addEventListener("message", ({ detail }) => {
        const { data, serverContent } = detail;
        if (data) listener.sent.push({ data, came: performance.now(), words: serverContent.outputTranscription?.text });
        if (serverContent?.interrupted) listener.interrupted = performance.now();
      });
      return listener;
    });
  }

  /** Has all that goes to the device recorded, too. Resolves when it is. */
  #tap() {
    const { connect } = AudioNode.prototype;
    return new Promise((resolve) => {
      AudioNode.prototype.connect = function (target, ...more) {
        if (target instanceof AudioDestinationNode) {
          AudioNode.prototype.connect = connect;
          resolve([this, target.context]);
        }
        return connect.call(this, target, ...more);
      };
    }).then(async ([node, context]) => {
      this.#context = context;
      await context.audioWorklet.addModule("/capture.worklet.js");
      const capture = new AudioWorkletNode(context, "capture", { channelCount: 1, channelCountMode: "explicit" });
      node.connect(capture).connect(context.destination);
      await new Promise((resolve) => {
        capture.port.onmessage = ({ data: { ends, piece } }) => {
          this.#began ??= ends - piece.length;
          this.#pieces.push(piece);
          this.#recorded += piece.length;
          resolve();
        };
      });
    });
  }

  /** Says something, and gives what is played until so many turns were heard. */
  async hear(text, turns = 1, meanwhile = () => {}) {
    this.forget();
    const { underruns } = this.session.speaker;
    await this.session.sendRealtimeInput({ text });
    await until(() => this.session.speaker.playing);
    await meanwhile();
    await until(() => this.heard.length === turns);
    await this.recorded();
    return { underruns: this.session.speaker.underruns - underruns, heard: this.heard };
  }

  /** Begins a new recording. */
  forget() {
    this.#pieces = [];
    this.#began = undefined;
    this.sent = [];
    this.heard = [];
  }

  /** Resolves when what was heard is recorded, too. */
  recorded() {
    const { sampleRate, currentTime } = this.#context;
    return until(() => this.#end > (currentTime + 0.1) * sampleRate);
  }

  get #end() {
    return (this.#began ?? 0) + this.#pieces.reduce((sum, { length }) => sum + length, 0);
  }

  get recording() {
    return join(this.#pieces);
  }

  /** All that was sent, as one piece. */
  get pcm() {
    return join(this.sent.map(({ data }) => new Int16Array(Uint8Array.fromBase64(data).buffer)), Int16Array);
  }

  /** How like the recording is to what was sent, at best: 1 if it is that. */
  async likeness() {
    const sound = (await new OfflineAudioContext(1, 1, this.#context.sampleRate).decodeAudioData(wav(this.pcm, 24_000))).getChannelData(0);
    const { recording } = this;
    // By the mean of each 24 samples where it lies about, then exactly.
    const about = 24 * best(means(recording, 24), means(sound, 24), 0, recording.length / 24);
    const from = best(recording, sound.subarray(0, 24_000), about - 48, about + 48);
    return likeness(recording, sound, from);
  }

  /** Of the first, and the last frame that sounds: milliseconds of the page's clock, as they leave the device. */
  get sounding() {
    const { recording } = this;
    const { contextTime, performanceTime } = this.#context.getOutputTimestamp();
    const at = (i) => performanceTime + ((this.#began + i) / this.#context.sampleRate - contextTime) * 1_000;
    return [at(recording.findIndex((x) => x !== 0)), at(recording.findLastIndex((x) => x !== 0))];
  }

  async emulator(kind, more) {
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/__emulator/fault", { method: "POST", headers, body: JSON.stringify({ kind, session: "*", ...more }) });
    if (!answer.ok) throw new Error(await answer.text());
  }

  /** Waits, and then does nothing else for so long. */
  static async stall(ms) {
    await sleep(200);
    for (const end = performance.now() + ms; performance.now() < end; );
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition) {
  for (const patience = performance.now() + 60_000; !condition(); await sleep(10)) {
    if (performance.now() > patience) throw new Error(`waited in vain for ${condition}`);
  }
}

function join(pieces, Type = Float32Array) {
  const all = new Type(pieces.reduce((sum, { length }) => sum + length, 0));
  pieces.reduce((at, piece) => (all.set(piece, at), at + piece.length), 0);
  return all;
}

function means(sound, size) {
  return Float32Array.from({ length: Math.floor(sound.length / size) }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < size; k++) sum += sound[i * size + k];
    return sum / size;
  });
}

/** Where, from one place to another, the sound is in the recording. */
function best(recording, sound, from, to) {
  let [most, place] = [-1, 0];
  for (let at = Math.max(0, from); at <= Math.min(to, recording.length - sound.length); at++) {
    const like = likeness(recording, sound, at);
    if (like > most) [most, place] = [like, at];
  }
  return place;
}

/** The correlation of a sound with a recording from there on. */
function likeness(recording, sound, from) {
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < sound.length; i++) {
    const [x, y] = [sound[i], recording[from + i] ?? 0];
    xy += x * y;
    xx += x * x;
    yy += y * y;
  }
  return xy / Math.sqrt(xx * yy || 1);
}

function wav(pcm, rate) {
  const file = new DataView(new ArrayBuffer(44 + 2 * pcm.length));
  const word = (at, text) => [...text].forEach((char, i) => file.setUint8(at + i, char.charCodeAt(0)));
  word(0, "RIFF");
  file.setUint32(4, 36 + 2 * pcm.length, true);
  word(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true);
  file.setUint16(22, 1, true);
  file.setUint32(24, rate, true);
  file.setUint32(28, 2 * rate, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  word(36, "data");
  file.setUint32(40, 2 * pcm.length, true);
  new Int16Array(file.buffer, 44).set(pcm);
  return file.buffer;
}

globalThis.Listener = Listener;
