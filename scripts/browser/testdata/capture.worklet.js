// Records all that reaches it, silence too, from the first frame on.

class Capture extends AudioWorkletProcessor {
  #piece = new Float32Array(2048);
  #length = 0;

  process([[input]]) {
    this.#piece.fill(0, this.#length, this.#length + 128);
    if (input) this.#piece.set(input, this.#length);
    this.#length += 128;
    if (this.#length === this.#piece.length) {
      this.port.postMessage({ ends: currentFrame + 128, piece: this.#piece.slice() });
      this.#length = 0;
    }
    return true;
  }
}

registerProcessor("capture", Capture);
