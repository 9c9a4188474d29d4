package authn

import (
	"cmp"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"
)

// lookAgain is how long a key that was taken out of a file can still be used.
const lookAgain = time.Second

// KeyFile is the APIKeys of a file, read again when the file changes. A file that
// cannot be read, or has a mistake in it, leaves those that were read before.
type KeyFile struct {
	name string
	log  *slog.Logger

	mu     sync.Mutex
	keys   *APIKeys
	info   os.FileInfo // of the file as it was read, good or bad
	looked time.Time
}

// OpenKeyFile reads a file of the form that ParseAPIKeys says. Logger nil
// discards what is said of later changes.
func OpenKeyFile(name string, logger *slog.Logger) (*KeyFile, error) {
	f := &KeyFile{name: name, log: cmp.Or(logger, slog.New(slog.DiscardHandler)), looked: time.Now()}
	return f, f.read()
}

// Authenticate is that of APIKeys.
func (f *KeyFile) Authenticate(r *http.Request) (Caller, error) { return f.current().Authenticate(r) }

func (f *KeyFile) current() *APIKeys {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < lookAgain {
		return f.keys
	}
	f.looked = time.Now()
	info, err := os.Stat(f.name)
	switch {
	case err == nil && f.info != nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime()):
		return f.keys
	case err != nil && f.info == nil: // it was said when it went away
		return f.keys
	}
	if err := f.read(); err != nil {
		f.log.Error("the API keys are still those read before", "file", f.name, "error", err)
	} else {
		f.log.Info("read the API keys again", "file", f.name)
	}
	return f.keys
}

// read reads the file. The caller holds the lock.
func (f *KeyFile) read() error {
	f.info = nil
	file, err := os.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	if f.info, err = file.Stat(); err != nil {
		return err
	}
	keys, err := ParseAPIKeys(file)
	if err != nil {
		return err
	}
	f.keys = keys
	return nil
}
