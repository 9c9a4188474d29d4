package session

import "time"

// Levels are in the units of a sample, of which full scale has 32768.
const (
	hush     = 104. // 50 dB below full scale: less cannot be heard in any room
	overRoom = 3    // 10 dB: by how much speech is louder than the noise of its room
	maxRoom  = 330  // 40 dB below full scale: what is louder is no noise of a room
	roomRise = 0.45 // nearly 4 dB a second
)

// hearing tells speech from the noise of a room, a fan's for example, which would
// pass for somebody who never pauses. Speech sinks to the level of the room
// between its syllables, noise does not: the level of the room is the lowest of
// late, and rises slowly. Only the session's goroutine touches it.
type hearing struct{ room float64 }

// quiet reports whether nobody can be heard in sound of that level.
func (h *hearing) quiet(level float64, length time.Duration) bool {
	noise := min(max(level, hush/overRoom), maxRoom)
	if h.room > 0 {
		noise = min(noise, h.room*(1+roomRise*length.Seconds()))
	}
	h.room = noise
	return level < h.room*overRoom
}
