package profile

import (
	"maps"
	"slices"
	"strings"
)

// Locks.
const (
	// Masked fixes every field of the setup except those that a page needs to
	// resume and to seed a conversation, and those that Allow leaves to it.
	Masked = "masked"

	// Full fixes the whole setup, the resumption handle included: the page needs a
	// new token for each connection, with the handle inside.
	Full = "full"

	// None fixes nothing. The page chooses even the model.
	None = "none"

	// Listed fixes the paths of Spec.Locked.
	Listed = "listed"
)

// mask gives the paths that the lock fixes, in the order of the tables: of
// Masked all that are not open, of Listed those of the list, nil of the others.
func mask(lock string, listed, allowed []string) []string {
	var paths []string
	for _, f := range fields {
		open := f.open != "" || slices.Contains(allowed, f.name)
		inside := childrenOf(f.name)
		opened := func(path string) bool { return slices.Contains(allowed, path) }
		switch {
		case lock == Listed:
			for _, path := range slices.Concat([]string{f.name}, inside) {
				if slices.Contains(listed, path) {
					paths = append(paths, path)
				}
			}
		case lock != Masked || open:
		case slices.ContainsFunc(inside, opened):
			paths = append(paths, slices.DeleteFunc(inside, opened)...)
		default:
			// Whole, because that is the shorter mask and takes in what Google adds to it.
			paths = append(paths, f.name)
		}
	}
	return paths
}

// maskNew adds the new fields to a mask, because each is set to bind the page.
func (s Spec) maskNew(paths []string) []string {
	for _, path := range s.NewFields {
		parent, child, deep := strings.Cut(path, ".")
		covered := slices.ContainsFunc(paths, func(locked string) bool { return within(path, locked) })
		if len(paths) > 0 && !covered && (!deep || parent == "generationConfig" && !strings.Contains(child, ".")) {
			paths = append(paths, path)
		}
	}
	return paths
}

// childrenOf gives the paths below a field that a mask may name: the service was
// seen to take those of generationConfig, and to refuse deeper ones of others.
func childrenOf(name string) []string {
	var paths []string
	if name == "generationConfig" {
		for _, child := range generation {
			paths = append(paths, name+"."+child)
		}
	}
	return paths
}

// maskable reports whether a path can stand in a mask.
func maskable(path string) bool {
	return slices.ContainsFunc(fields, func(f field) bool {
		return f.name == path || slices.Contains(childrenOf(f.name), path)
	})
}

// fixes reports whether the token, not the page, decides on a path.
func (p Profile) fixes(path string) bool {
	return p.spec.Lock == Full || slices.ContainsFunc(p.mask, func(locked string) bool { return within(path, locked) })
}

// within reports whether a path is another or below it.
func within(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+".") }

// Lock is how the token binds the page, as pages are told: [Masked], [Full] or
// [None].
func (p Profile) Lock() string {
	if p.spec.Lock == Listed {
		return Masked
	}
	return p.spec.Lock
}

// FieldMask is the token's fieldMask. Empty is none: what the setup has is then
// locked whole, or nothing is, if there is no setup either.
func (p Profile) FieldMask() string { return strings.Join(p.mask, ",") }

// MaskPaths are the paths of FieldMask.
func (p Profile) MaskPaths() []string { return slices.Clone(p.mask) }

// Allow are the fields of the setup, and the children of generationConfig, that a
// masked token leaves to the page. Those that every page needs, to resume and to
// seed, are not among them.
func (p Profile) Allow() []string {
	if p.Lock() != Masked {
		return nil
	}
	var open []string
	for _, f := range fields {
		children := childrenOf(f.name)
		free := func(path string) bool { return !p.fixes(path) }
		switch {
		case f.open != "" || p.fixes(f.name):
		case len(children) > 0 && !slices.ContainsFunc(children, p.fixes), len(children) == 0:
			open = append(open, f.name)
		default:
			for _, child := range children {
				if free(child) {
					open = append(open, child)
				}
			}
		}
	}
	return open
}

// AsFull is the profile with a full lock, for a service that refuses its mask.
// What Allow left to the page is no longer left.
func (p Profile) AsFull() Profile {
	p.spec.Lock, p.mask, p.setup = Full, nil, maps.Clone(p.setup)
	speak(p.setup)
	return p
}

// checkLock finds what is wrong with the lock. One that there is not becomes
// Masked, so that what follows is judged by something.
func (s *Spec) checkLock(wrong *Mistakes) {
	switch s.Lock {
	case Masked, Full, None:
		if len(s.Locked) > 0 {
			wrong.note("lock", "paths are for the lock %q", Listed)
		}
	case Listed:
		if len(s.Locked) == 0 {
			wrong.note("lock", "list at least one path, or write %s", None)
		}
	default:
		wrong.note("lock", "write %s, %s, %s or a list of paths", Masked, Full, None)
		s.Lock = Masked
	}
	for i, path := range s.Locked {
		name, _, _ := strings.Cut(path, ".")
		switch f := fieldNamed(name); {
		case !maskable(path):
			wrong.note("lock", "entry %d: name a field of the setup, or one of generationConfig such as generationConfig.temperature", i+1)
		case f.open != "":
			wrong.note("lock", "leave %s out: %s (%s locks it)", name, f.open, Full)
		case slices.Contains(s.Locked[:i], path):
			wrong.note("lock", "%s is there twice", path)
		case name != path && slices.Contains(s.Locked, name):
			wrong.note("lock", "%s is locked with %s: leave one of the two out", path, name)
		}
	}
}
