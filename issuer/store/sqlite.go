package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"time"
)

// SQLite keeps everything in one file. What it has acknowledged survives the end
// of the process and of the machine. Its methods may be called from anywhere; one
// goroutine does what they ask, all that waits in one transaction, so that the
// disk is waited for once for many.
//
// Processes may share a file, on one machine.
type SQLite struct {
	work chan work
	stop chan struct{} // closed by Close
	once sync.Once
	done chan struct{} // closed when all is at its end
	err  error         // of closing; read after done
}

// work is what the goroutine does for one caller. It returns an error only if the
// database does not do as it is told: the transaction is then none.
type work struct {
	ctx     context.Context
	do      func(*statements) error
	skipped error      // why it was not done: ctx had ended
	done    chan error // has room for the answer
}

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("the store is closed")

const (
	// application is in the file's head, by which we know ours.
	application = 0x4c563031 // "LV01"

	maxBatch = 128 // questions in one transaction

	// patience is how long one question may take. Who asked for a token then hears
	// that the store does not answer.
	patience = 2 * time.Second

	// lockPatience is how long a transaction waits for that of another process, which
	// is looked for every lockPause on average: SQLite itself would look ever more
	// rarely, and miss the moments that a busy process leaves.
	lockPatience = 1500 * time.Millisecond
	lockPause    = 5 * time.Millisecond
)

// schema makes the tables of a new file, step by step, and brings a file to the
// newest that an older program made. A file's version is the number of steps that
// it has taken; one that has taken more is refused.
var schema = [...]string{`
CREATE TABLE leases (
	key BLOB PRIMARY KEY, version INTEGER NOT NULL, caller TEXT NOT NULL, profile TEXT NOT NULL, overrides TEXT NOT NULL,
	ends INTEGER NOT NULL, expire INTEGER NOT NULL, renew_after INTEGER NOT NULL,
	early INTEGER NOT NULL, released INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX leases_by_caller ON leases (caller);
CREATE TABLE handles (key BLOB PRIMARY KEY, lease BLOB NOT NULL, ends INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE revocations (caller TEXT PRIMARY KEY) WITHOUT ROWID, STRICT;
CREATE TABLE rates (key TEXT PRIMARY KEY, ends INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE slots (
	key TEXT NOT NULL, lease BLOB NOT NULL, version INTEGER NOT NULL, ends INTEGER NOT NULL,
	PRIMARY KEY (key, lease, version)
) WITHOUT ROWID, STRICT;
CREATE TABLE budgets (key TEXT PRIMARY KEY, spent INTEGER NOT NULL, ends INTEGER NOT NULL) WITHOUT ROWID, STRICT;
`, `
-- Slots in the order in which they expire, and how many there are, so that a
-- decision need not read them all.
ALTER TABLE slots RENAME TO unordered_slots;
CREATE TABLE slots (
	key TEXT NOT NULL, ends INTEGER NOT NULL, lease BLOB NOT NULL, version INTEGER NOT NULL,
	PRIMARY KEY (key, ends, lease, version)
) WITHOUT ROWID, STRICT;
CREATE TABLE slot_counts (key TEXT PRIMARY KEY, taken INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TRIGGER slot_taken AFTER INSERT ON slots BEGIN
	INSERT INTO slot_counts VALUES (new.key, 1) ON CONFLICT DO UPDATE SET taken = taken + 1;
END;
CREATE TRIGGER slot_freed AFTER DELETE ON slots BEGIN
	UPDATE slot_counts SET taken = taken - 1 WHERE key = old.key;
	DELETE FROM slot_counts WHERE key = old.key AND taken = 0;
END;
INSERT INTO slots SELECT key, ends, lease, version FROM unordered_slots;
DROP TABLE unordered_slots;
`, `
CREATE TABLE handle_key (only INTEGER PRIMARY KEY CHECK (only = 1), key BLOB NOT NULL) STRICT;
`, `
-- The newest handles of a lease are those of its last versions.
ALTER TABLE handles ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
CREATE INDEX handles_by_lease ON handles (lease, version);
`}

// OpenSQLite opens the file, or makes it, readable by its owner only. It refuses a
// file that it does not know.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	s, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return s, nil
}

func openSQLite(ctx context.Context, path string) (*SQLite, error) {
	// Made here for its mode, which SQLite gives to the files beside it, too.
	switch f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); {
	case err == nil:
		if err := f.Close(); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: url.Values{"_pragma": {
		"busy_timeout(5000)", "trusted_schema(0)", "cell_size_check(1)",
	}}.Encode()}).String())
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		err = prepareFile(ctx, conn)
	}
	var q *statements
	if err == nil {
		q, err = prepare(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &SQLite{work: make(chan work), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.run(q)
		s.err = errors.Join(q.close(), conn.Close(), db.Close())
	}()
	return s, nil
}

// prepareFile makes the tables, or checks that the file is ours.
func prepareFile(ctx context.Context, conn *sql.Conn) error {
	one := func(query string) (n int64, err error) {
		err = conn.QueryRowContext(ctx, query).Scan(&n)
		return n, err
	}
	// Under the lock that writers take, because another process may be making them.
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // if it was not committed
	tables, err := one("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	ours, err := one("PRAGMA application_id")
	if err != nil {
		return err
	}
	version, err := one("PRAGMA user_version")
	if err != nil {
		return err
	}
	switch newest := int64(len(schema)); {
	case tables == 0 && ours == 0:
		version = 0 // whatever it says
	case ours != application:
		return errors.New("the file is a database of another program: name a file of its own")
	case version < 1 || version > newest:
		return fmt.Errorf("the file has version %d, and this program reads versions up to %d: use the program that made it, or name a new file", version, newest)
	}
	for n, step := range schema[version:] {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("%s PRAGMA application_id = %d; PRAGMA user_version = %d", step, application, int(version)+n+1)); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not do for a write-ahead log (journal mode %q): use a local disk", mode)
	}
	// Each transaction is on the disk before it is acknowledged, and waits for others
	// by itself from now on.
	_, err = conn.ExecContext(ctx, "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 0")
	return err
}

// do hands work to the goroutine and waits for it.
func (s *SQLite) do(ctx context.Context, do func(*statements) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w := work{ctx: ctx, do: do, done: make(chan error, 1)}
	select {
	case s.work <- w:
	case <-ctx.Done():
		return fmt.Errorf("store: %w", ctx.Err())
	case <-s.stop:
		return ErrClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done(): // it may be done all the same
		return fmt.Errorf("store: %w", ctx.Err())
	}
}

// run does what is asked until the store is closed.
func (s *SQLite) run(q *statements) {
	batch := make([]work, 0, maxBatch)
	for {
		select {
		case w := <-s.work:
			batch = append(batch[:0], w)
		case <-s.stop:
			return
		}
		for full := false; !full && len(batch) < maxBatch; {
			select {
			case w := <-s.work:
				batch = append(batch, w)
			default:
				full = true
			}
		}
		err := q.transaction(batch)
		for _, w := range batch {
			w.done <- cmp.Or(err, w.skipped)
		}
	}
}

// Ready says why the store could not decide now.
func (s *SQLite) Ready(ctx context.Context) error {
	return s.do(ctx, func(*statements) error { return nil })
}

// Close ends the use of the store. What waits is told ErrClosed.
func (s *SQLite) Close() error {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	return s.err
}

// Grant decides about a token: see [Ask].
func (s *SQLite) Grant(ctx context.Context, a Ask) (Standing, error) {
	var st Standing
	var refused error
	if err := s.do(ctx, func(q *statements) (err error) {
		st, refused, err = q.grant(a)
		return err
	}); err != nil {
		return Standing{}, err
	}
	return st, refused
}

// Undo is as [Memory.Undo].
func (s *SQLite) Undo(ctx context.Context, a Ask) error {
	return s.do(ctx, func(q *statements) error { return q.undo(a) })
}

// Load is as [Memory.Load].
func (s *SQLite) Load(ctx context.Context, k Key) (Lease, error) {
	var l *Lease
	if err := s.do(ctx, func(q *statements) (err error) {
		l, err = q.load(k)
		return err
	}); err != nil {
		return Lease{}, err
	}
	if l == nil {
		return Lease{}, ErrNotFound
	}
	return *l, nil
}

// Release is as [Memory.Release].
func (s *SQLite) Release(ctx context.Context, k Key) error {
	var l *Lease
	if err := s.do(ctx, func(q *statements) (err error) {
		if l, err = q.load(k); err != nil || l == nil || l.Released {
			return err
		}
		l.Released = true
		l.Version++
		return q.keep(*l)
	}); err != nil {
		return err
	}
	if l == nil {
		return ErrNotFound
	}
	return nil
}

// Leases is as [Memory.Leases].
func (s *SQLite) Leases(ctx context.Context, caller string) ([]Lease, error) {
	var list []Lease
	if err := s.do(ctx, func(q *statements) (err error) {
		list, err = q.leases(caller)
		return err
	}); err != nil {
		return nil, err
	}
	return list, nil
}

// Revoke is as [Memory.Revoke].
func (s *SQLite) Revoke(ctx context.Context, caller string) error {
	if caller == "" {
		return ErrAnonymous
	}
	return s.do(ctx, func(q *statements) error { return q.exec(revoke, caller) })
}

// Unrevoke is as [Memory.Unrevoke].
func (s *SQLite) Unrevoke(ctx context.Context, caller string) error {
	return s.do(ctx, func(q *statements) error { return q.exec(unrevoke, caller) })
}

// Revoked is as [Memory.Revoked].
func (s *SQLite) Revoked(ctx context.Context, caller string) (bool, error) {
	var n int
	if err := s.do(ctx, func(q *statements) error {
		return q.one(isRevoked, caller).Scan(&n)
	}); err != nil {
		return false, err
	}
	return n > 0, nil
}

// Revocations is as [Memory.Revocations].
func (s *SQLite) Revocations(ctx context.Context, after string, most int) ([]string, error) {
	var list []string
	if err := s.do(ctx, func(q *statements) (err error) {
		list, err = q.revocations(after, most)
		return err
	}); err != nil {
		return nil, err
	}
	return list, nil
}

// HandleKey is as [Memory.HandleKey].
func (s *SQLite) HandleKey(ctx context.Context) ([]byte, error) {
	drawn := make([]byte, handleKeySize)
	rand.Read(drawn)
	var key []byte
	if err := s.do(ctx, func(q *statements) error {
		if err := q.exec(drawHandleKey, drawn); err != nil {
			return err
		}
		return q.one(readHandleKey).Scan(&key)
	}); err != nil {
		return nil, err
	}
	return key, nil
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }
