package redisproc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	program  = "redis-server"
	howToGet = "run `make redis` at the root of the repository, or install your system's package of Redis"
)

// Find returns the path of redis-server: the one in ./bin of this repository where there is one, which `make redis`
// installs, else that of the PATH. The error says how to get it.
func Find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", program, err)
	}

	for ; ; dir = filepath.Dir(dir) {
		own := filepath.Join(dir, "bin", program)
		if info, err := os.Stat(own); err == nil && info.Mode().IsRegular() {
			return own, nil
		}

		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			break // the repository's root
		}
	}

	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("find %s: %w; %s", program, err, howToGet)
	}

	return path, nil
}
