package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Log writes entries. Its methods may be called from anywhere.
type Log struct {
	name string // of the file; empty: there is none to open again

	mu   sync.Mutex
	out  io.Writer // *os.File if there is a name; nil: it is to be opened
	lost int       // entries that were not written since one was
	torn bool      // the last line may be there in part
}

// Open appends to a file, which is made if it is not there, readable for its
// owner and its group. When a tool for rotation has moved or removed the file, the
// next line opens it anew.
func Open(name string) (*Log, error) {
	l := &Log{name: name}
	if err := l.reopen(); err != nil {
		return nil, err
	}
	return l, nil
}

// New writes to a stream, such as standard output.
func New(w io.Writer) *Log { return &Log{out: w} }

// Write adds a line. When it returns without an error, the operating system has
// the line: it outlives this process, though not yet a power cut.
func (l *Log) Write(e Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.append(e)
	if err != nil {
		l.lost++
	}
	return err
}

// Ready is nil if entries can be written, as far as is known. After one that
// could not, it tries, so that it needs no request to find out that the trouble
// is over.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == 0 {
		return nil
	}
	return l.append()
}

// append writes entries, after one about those that were lost.
func (l *Log) append(entries ...Entry) error {
	if err := l.reopen(); err != nil {
		return err
	}
	var lines bytes.Buffer
	if l.torn {
		lines.WriteByte('\n')
	}
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false)
	if l.lost > 0 {
		entries = append([]Entry{{Time: time.Now(), Decision: Resumed, Lost: l.lost}}, entries...)
	}
	for _, e := range entries {
		e.Time = e.Time.UTC().Round(0)
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("write the audit: %w", err)
		}
	}
	// In one call, so that lines of two processes do not mix.
	if n, err := l.out.Write(lines.Bytes()); err != nil {
		l.torn = l.torn || n > 0
		return fmt.Errorf("write the audit: %w", err)
	}
	l.lost, l.torn = 0, false
	return nil
}

// reopen opens the file unless it is open and still the one of that name. To look
// costs a microsecond, and spares rotation a signal that may come late.
func (l *Log) reopen() error {
	if l.name == "" {
		return nil
	}
	there, err := os.Stat(l.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open the audit: %w", err)
	}
	if old, ok := l.out.(*os.File); ok {
		if is, err2 := old.Stat(); err == nil && err2 == nil && os.SameFile(is, there) {
			return nil
		}
		old.Close() // written to without a buffer, so nothing is left to fail
		l.out, l.torn = nil, false
	}
	file, err := os.OpenFile(l.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open the audit: %w", err)
	}
	l.out = file
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, ok := l.out.(*os.File)
	if !ok || l.name == "" {
		return nil
	}
	l.out = nil
	return file.Close()
}
