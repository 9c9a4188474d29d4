// Talks aloud with the emulator's model, which says back what it hears: so what is
// played is what was said. In the room there is always some noise, so where what is
// played is silent to the last bit, sound is missing.

class Talker {
  /** When it was tapped, by the page's clock. */
  tapped;
  wrong = [];
  /** Sound (ms) that the service may not have, as the session tells. */
  lost = 0;
  /** Why there was another connection. */
  causes = [];

  #listener;
  #room;
  #speech;
  /** What is to be shown: without what was said, or heard, again. */
  #captions = new Map();
  #turns = new Set();

  /** Called in a click, with what it will say, decoded. There is one context, since a busy machine tears what goes from one to another. */
  static async start({ timeStamp }, speech) {
    const talker = new Talker();
    talker.tapped = timeStamp;
    talker.#speech = speech;
    const context = new AudioContext();
    globalThis.AudioContext = function () {
      return context;
    };
    talker.#room = context.createMediaStreamDestination();
    const noise = new AudioBuffer({ length: context.sampleRate, sampleRate: context.sampleRate });
    noise.copyToChannel(noise.getChannelData(0).map(() => 0.001 * (2 * Math.random() - 1)), 0);
    const source = new AudioBufferSourceNode(context, { buffer: noise, loop: true });
    source.connect(talker.#room);
    source.start();

    talker.#listener = await Listener.start({ microphone: { source: talker.#room.stream } });
    talker.#follow(talker.#listener.session);
    await talker.#listener.hear("echo");
    return talker;
  }

  #follow(session) {
    const on = (type, heard) => session.addEventListener(type, ({ detail }) => heard(detail));
    on("transcript", (detail) => {
      if (detail.who === "model") this.#turns.add(detail.id);
      this.#captions.delete(detail.regenerates);
      this.#captions.set(detail.id, detail);
    });
    on("resumed", (detail) => {
      this.causes.push(detail.cause);
      this.lost += detail.lostAudioMs;
      if (detail.restored !== "full") this.wrong.push(detail);
    });
    for (const type of ["dropped", "stalled", "miclost", "crashed", "closed"]) on(type, (detail) => this.wrong.push({ type, ...detail }));
  }

  get captions() {
    return [...this.#captions.values()].map(({ who, text, final = false, cut = false, interrupted = false }) => ({ who, text, final, cut, interrupted }));
  }

  /** From the tap to the first sound, in the first round. */
  get firstSound() {
    return this.#listener.sounding[0] - this.tapped;
  }

  /** Says some sentences, each into the answer to the one before; meanwhile there is a fault, in the speech or the answer or before. Ends when all is heard. */
  async round(sentences, { kind, when } = {}) {
    const listener = this.#listener;
    const { session } = listener;
    const { causes } = this;
    const resumptions = causes.length + (kind ? 1 : 0);
    const answers = this.#answers + sentences.length;
    const underruns = session.speaker.underruns;
    listener.forget();
    this.#turns.clear();
    if (when === "before") await listener.emulator(kind);
    for (const [i, sentence] of sentences.entries()) {
      if (i > 0) await until(() => session.speaker.playing);
      const said = this.#say(sentence);
      if (when === "speech") await sleep(600).then(() => listener.emulator(kind));
      await said;
    }
    if (when === "answer") await until(() => session.speaker.playing).then(() => listener.emulator(kind));
    await until(() => this.#answers === answers && listener.heard.length === this.#turns.size && causes.length === resumptions && session.state === "live");
    await listener.recorded();
    const { recording, heard } = listener;
    const { sampleRate } = this.#room.context;
    const silences = gaps(recording, sampleRate);
    const played = (recording.filter((x) => x !== 0).length / sampleRate) * 1_000;
    const ranOut = session.speaker.underruns - underruns;
    const like = heard.length === 1 && silences.length === 0 && ranOut === 0 ? await listener.likeness() : undefined;
    return { heard, played, like, gaps: silences, sent: gaps(listener.pcm, 24_000), late: this.#late(), underruns: ranOut };
  }

  /** How many captions of the model's are complete. */
  get #answers() {
    return this.captions.filter(({ who, final, cut }) => who === "model" && final && !cut).length;
  }

  /** Resolves when all is said. */
  #say(sentence) {
    const voice = new AudioBufferSourceNode(this.#room.context, { buffer: this.#speech[sentence] });
    voice.connect(this.#room);
    voice.start();
    return new Promise((resolve) => (voice.onended = resolve));
  }

  /** By how many ms sound of an answer came too late to follow, had what came before it been played at once. */
  #late() {
    const { sent } = this.#listener;
    let [late, over] = [0, sent[0].came];
    for (const { data, came, words } of sent) {
      if (words) over = came; // Where sound is said back, an answer has them at its begin.
      late = Math.max(late, came - over);
      over = Math.max(came, over) + (data.length * 3) / 4 / 48;
    }
    return Math.round(late);
  }
}

/** The silences in a sound, in ms, which are longer than what nobody hears. */
function gaps(sound, rate) {
  const found = [];
  let last;
  sound.forEach((x, i) => {
    if (x === 0) return;
    const ms = ((i - last) / rate) * 1_000;
    if (ms > 20) found.push(Math.round(ms));
    last = i;
  });
  return found;
}

globalThis.Talker = Talker;
