package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	lockName  = "woodwork.lock"
	storeName = "jetstream" // the server keeps everything in this folder of its store directory
	dirMode   = 0o700
	lockMode  = 0o600
)

// errLocked is what lockFile returns when another open file holds the lock.
var errLocked = errors.New("locked")

// dataDir is a data directory that this server owns until it releases it.
type dataDir struct {
	path string
	lock *os.File
	temp bool
}

// openDir makes the directory where needed, proves that it can be written and locks it. An empty path makes a
// temporary one.
func openDir(path string) (*dataDir, error) {
	if path == "" {
		return openTempDir()
	}

	path, err := filepath.Abs(path)
	if err != nil {
		return nil, notWritable(path, err)
	}

	if err := os.MkdirAll(filepath.Join(path, storeName), dirMode); err != nil {
		return nil, notWritable(path, err)
	}

	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}

	d := &dataDir{path: path, lock: lock}
	if err := probe(filepath.Join(path, storeName)); err != nil {
		return nil, errors.Join(notWritable(path, err), d.release())
	}

	return d, nil
}

func openTempDir() (*dataDir, error) {
	path, err := os.MkdirTemp("", "woodwork-")
	if err != nil {
		return nil, notWritable(os.TempDir(), err)
	}

	return &dataDir{path: path, temp: true}, nil
}

// lockDir takes the directory's lock. The file stays when the lock is released: removing it would let two processes
// hold locks on two files of the same name.
func lockDir(path string) (*os.File, error) {
	name := filepath.Join(path, lockName)

	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, lockMode) //nolint:gosec // the user names the directory
	if err != nil {
		return nil, notWritable(path, err)
	}

	if err := lockFile(f); err != nil {
		defer f.Close() //nolint:errcheck // nothing was written

		if errors.Is(err, errLocked) {
			return nil, inUse(path, f)
		}

		return nil, &StartError{Subject: path, Err: fmt.Errorf("lock %s: %w", name, err), Hint: "use a local file system"}
	}

	if err := writePID(f); err != nil {
		return nil, errors.Join(notWritable(path, err), f.Close())
	}

	return f, nil
}

// writePID leaves the process id in the lock file, for the message that another process shows.
func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("truncate lock: %w", err)
	}

	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}

	return nil
}

// probe proves that files can be made in dir.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return fmt.Errorf("create a file: %w", err)
	}

	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// release gives the directory back, and removes it if it was temporary. It must be called once.
func (d *dataDir) release() error {
	if d.temp {
		if err := os.RemoveAll(d.path); err != nil {
			return fmt.Errorf("remove temporary directory: %w", err)
		}

		return nil
	}

	if err := d.lock.Close(); err != nil { // ends the lock
		return fmt.Errorf("unlock directory: %w", err)
	}

	return nil
}

func notWritable(path string, err error) error {
	return &StartError{
		Subject: path, Kind: ErrDirNotWritable, Err: err,
		Hint: "choose another directory or give this user the right to write to it",
	}
}

func inUse(path string, lock *os.File) error {
	holder := "the other server"

	var pid [16]byte
	if n, _ := lock.ReadAt(pid[:], 0); n > 0 { // io.EOF is expected: the file is short
		holder = "process " + strings.TrimSpace(string(pid[:n]))
	}

	return &StartError{
		Subject: path, Kind: ErrDirInUse,
		Hint: "stop " + holder + ", connect to it, or choose another directory",
	}
}
