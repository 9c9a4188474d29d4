// Plays 16-bit PCM without gaps: every chunk is scheduled on the audio clock
// right behind the one before it.

/** Sound kept ahead when playback starts anew: chunks arrive in bursts. */
const cushion = 0.08;
const fade = 0.02;

export class Player {
  /** Milliseconds of sound scheduled so far. */
  scheduledMs = 0;

  // The sound's own rate: the browser then resamples the whole stream, not each chunk.
  #context = new AudioContext({ sampleRate: 24_000, latencyHint: "interactive" });
  #volume = new GainNode(this.#context);
  #meter = new AnalyserNode(this.#context, { fftSize: 1024 });
  #window = new Float32Array(this.#meter.fftSize);
  #voice = this.#newVoice();
  #playing = new Set<AudioBufferSourceNode>();
  #next = 0;

  /** Call it inside a click: browsers start sound only then. */
  constructor() {
    this.#volume.connect(this.#meter).connect(this.#context.destination);
    void this.#context.resume();
  }

  /** Resumes a context that the browser suspended; inside a click, too. */
  resume(): void {
    void this.#context.resume();
  }

  set muted(muted: boolean) {
    this.#volume.gain.setTargetAtTime(muted ? 0 : 1, this.#context.currentTime, fade / 3);
  }

  /** Appends little endian mono samples, as base64. */
  play(data: string, rate: number): void {
    const samples = decode(data);
    if (samples.length === 0) return;
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);

    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.#voice);
    const earliest = this.#context.currentTime;
    const at = this.#next > earliest ? this.#next : earliest + cushion;
    source.start(at);
    this.#next = at + buffer.duration;
    this.scheduledMs += buffer.duration * 1_000;

    this.#playing.add(source);
    source.onended = () => {
      this.#playing.delete(source);
      source.disconnect();
    };
  }

  /** Silence now, with a fade too short to hear and long enough not to click. */
  flush(): void {
    const now = this.#context.currentTime;
    const voice = this.#voice;
    voice.gain.setValueAtTime(1, now);
    voice.gain.linearRampToValueAtTime(0, now + fade);
    for (const source of this.#playing) source.stop(now + fade);
    this.#playing.clear();
    setTimeout(() => voice.disconnect(), 200);
    this.#voice = this.#newVoice();
    this.#next = 0;
  }

  /** The loudest sample of the last moment, 0 to 1. */
  level(): number {
    this.#meter.getFloatTimeDomainData(this.#window);
    return this.#window.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
  }

  #newVoice(): GainNode {
    const voice = new GainNode(this.#context);
    voice.connect(this.#volume);
    return voice;
  }
}

function decode(data: string): Float32Array<ArrayBuffer> {
  const bytes = atob(data);
  const samples = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < samples.length; i++) {
    const value = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
    samples[i] = (value < 0x8000 ? value : value - 0x10000) / 0x8000;
  }
  return samples;
}
