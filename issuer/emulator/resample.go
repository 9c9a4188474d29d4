package emulator

import (
	"math"
	"sync"
)

// resampler changes the rate of a stream of samples, however it is cut into
// pieces. It interpolates with a windowed sinc, whose cut-off is half the lower
// of the two rates, so that nothing above it folds back as noise.
type resampler struct {
	from, to int     // samples/s
	past     []int16 // input that output still needs
	first    int64   // number of past[0] in the stream
	next     int64   // number of the next output sample
}

const (
	kernelZeros = 8   // zero crossings on each side: about 60 dB of stop band
	kernelSteps = 512 // of the table between two of them
)

// kernel is the right half of the windowed sinc.
var kernel = sync.OnceValue(func() []float64 {
	table := make([]float64, kernelZeros*kernelSteps+2) // the last one is for the interpolation
	table[0] = 1
	for i := 1; i < kernelZeros*kernelSteps; i++ {
		x := math.Pi * float64(i) / kernelSteps
		window := math.Cos(x / (2 * kernelZeros))
		table[i] = math.Sin(x) / x * window * window
	}
	return table
})

// half is how many input samples each side of an output sample counts.
func (r *resampler) half() float64 { return kernelZeros / r.scale() }

// scale is the cut-off relative to that of the input.
func (r *resampler) scale() float64 { return min(1, float64(r.to)/float64(r.from)) }

// resample gives what pcm lets it know of the output: all but the last
// fraction of a millisecond.
func (r *resampler) resample(pcm []int16) []int16 {
	if r.from == r.to {
		return pcm
	}
	r.past = append(r.past, pcm...)
	known := r.first + int64(len(r.past)) // inputs
	var out []int16
	for ; ; r.next++ {
		at := float64(r.next) * float64(r.from) / float64(r.to)
		if at+r.half() >= float64(known) {
			break
		}
		out = append(out, r.sample(at))
	}
	// Forget what lies before all output to come.
	if gone := int64(float64(r.next)*float64(r.from)/float64(r.to)-r.half()) - r.first; gone > 0 {
		r.past = append(r.past[:0], r.past[min(gone, int64(len(r.past))):]...)
		r.first += gone
	}
	return out
}

// flush gives the rest, as if silence followed. The stream is over then.
func (r *resampler) flush() []int16 {
	if r.from == r.to {
		return nil
	}
	end := (r.first + int64(len(r.past))) * int64(r.to) / int64(r.from)
	out := r.resample(make([]int16, int(r.half())+2))
	return out[:max(0, len(out)-int(r.next-end))]
}

// sample is the signal at a place between the input samples.
func (r *resampler) sample(at float64) int16 {
	table, scale, half := kernel(), r.scale(), r.half()
	var sum float64
	for i := max(int64(math.Ceil(at-half)), r.first); i <= int64(at+half) && i < r.first+int64(len(r.past)); i++ {
		x := math.Abs(at-float64(i)) * scale * kernelSteps
		j := int(x)
		sum += float64(r.past[i-r.first]) * (table[j] + (x-float64(j))*(table[j+1]-table[j]))
	}
	return int16(math.Round(max(math.MinInt16, min(math.MaxInt16, sum*scale))))
}
