// The microphone's worklet: mono samples at the context's rate in, PCM of 16 kHz
// in pieces of 20 ms out, straight to the engine's host.
