// The speaker's worklet: what the engine's host sends, resampled to the context's
// rate, behind a cushion that covers the jitter of the line.
