package runner

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"emts.dev/refk3s/internal/pki"
	"emts.dev/refk3s/internal/settings"
)

// ensureToken writes the token files and returns the secret part. A given
// token wins; else the one of an earlier start is kept; else one is made.
func ensureToken(s *settings.Server, cluster *pki.Cluster) (string, error) {
	given, err := givenToken(s)
	if err != nil {
		return "", err
	}
	path := s.Folders.Server("token")
	if given == "" {
		if content, err := os.ReadFile(path); err == nil {
			given = strings.TrimSpace(string(content))
		}
	}
	secret := secretOf(given)
	if secret == "" {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return "", err
		}
		secret = hex.EncodeToString(random)
	}
	fingerprint, err := cluster.Fingerprint()
	if err != nil {
		return "", err
	}
	full := fmt.Sprintf("K10%s::server:%s\n", fingerprint, secret)
	if err := os.WriteFile(path, []byte(full), 0o600); err != nil {
		return "", err
	}
	for _, name := range []string{"node-token", "agent-token"} {
		link := s.Folders.Server(name)
		if err := os.Remove(link); err != nil && !os.IsNotExist(err) {
			return "", err
		}
		if err := os.Symlink(path, link); err != nil {
			return "", err
		}
	}
	return secret, nil
}

func givenToken(s *settings.Server) (string, error) {
	if token := s.Flags.String("token"); token != "" {
		return token, nil
	}
	path := s.Flags.String("token-file")
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return "", fmt.Errorf("token-file: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// secretOf takes the secret out of a full token K10<hash>::<user>:<secret>.
func secretOf(token string) string {
	if !strings.HasPrefix(token, "K10") {
		return token
	}
	_, credentials, ok := strings.Cut(token, "::")
	if !ok {
		return token
	}
	_, secret, ok := strings.Cut(credentials, ":")
	if !ok {
		return credentials
	}
	return secret
}
