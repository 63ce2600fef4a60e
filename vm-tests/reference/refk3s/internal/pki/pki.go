// Package pki makes and keeps the certificate authorities, certificates and
// keys of the cluster. Existing authorities are used as they are, so that a
// user (or Cluster API) can bring their own.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is made anew at start.
	renewBefore = 90 * 24 * time.Hour
)

// Authority signs certificates.
type Authority struct {
	Certificate *x509.Certificate
	// File is the PEM file of the authority's certificate.
	File string
	key  crypto.Signer
}

// Request says what a certificate is for.
type Request struct {
	CommonName    string
	Organizations []string
	Names         []string
	Addresses     []net.IP
	Usages        []x509.ExtKeyUsage
}

// LoadOrCreateAuthority reads name.crt and name.key in folder, or makes them.
func LoadOrCreateAuthority(folder, name, commonName string) (*Authority, error) {
	certificateFile, keyFile := filepath.Join(folder, name+".crt"), filepath.Join(folder, name+".key")
	if exists(certificateFile) && exists(keyFile) {
		return loadAuthority(certificateFile, keyFile)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s@%d", commonName, now.Unix())},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := writeKey(keyFile, key); err != nil {
		return nil, err
	}
	if err := writePEM(certificateFile, der); err != nil {
		return nil, err
	}
	return loadAuthority(certificateFile, keyFile)
}

func loadAuthority(certificateFile, keyFile string) (*Authority, error) {
	certificates, err := certutil.CertsFromFile(certificateFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", certificateFile, err)
	}
	key, err := loadKey(keyFile)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: certificates[0], File: certificateFile, key: key}, nil
}

// Ensure makes the certificate and key at base.crt and base.key, unless the
// ones there still serve the request.
func (a *Authority) Ensure(base string, request Request) error {
	if a.serves(base, request) {
		return nil
	}
	keyFile := base + ".key"
	key, err := loadKey(keyFile)
	if errors.Is(err, os.ErrNotExist) {
		key, err = newKey(keyFile)
	}
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: request.CommonName, Organization: request.Organizations},
		NotBefore:    a.Certificate.NotBefore,
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  request.Usages,
		DNSNames:     request.Names,
		IPAddresses:  request.Addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("certificate %s.crt: %w", base, err)
	}
	return writePEM(base+".crt", der, a.Certificate.Raw)
}

func (a *Authority) serves(base string, request Request) bool {
	certificates, err := certutil.CertsFromFile(base + ".crt")
	if err != nil || !exists(base+".key") {
		return false
	}
	have := certificates[0]
	if have.CheckSignatureFrom(a.Certificate) != nil || time.Until(have.NotAfter) < renewBefore {
		return false
	}
	if have.Subject.CommonName != request.CommonName || !slices.Equal(have.Subject.Organization, request.Organizations) {
		return false
	}
	for _, name := range request.Names {
		if !slices.Contains(have.DNSNames, name) {
			return false
		}
	}
	for _, address := range request.Addresses {
		if !slices.ContainsFunc(have.IPAddresses, address.Equal) {
			return false
		}
	}
	return true
}

// EnsureKey makes an EC key at path unless there is one.
func EnsureKey(path string) error {
	if exists(path) {
		return nil
	}
	_, err := newKey(path)
	return err
}

func newKey(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, writeKey(path, key)
}

func loadKey(path string) (crypto.Signer, error) {
	parsed, err := keyutil.PrivateKeyFromFile(path)
	if err != nil {
		if _, missing := os.Stat(path); missing != nil {
			return nil, missing
		}
		return nil, fmt.Errorf("private key %s: %w", path, err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key %s cannot sign", path)
	}
	return signer, nil
}

func writeKey(path string, key crypto.PrivateKey) error {
	text, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	return keyutil.WriteKey(path, text)
}

func writePEM(path string, ders ...[]byte) error {
	var certificates []*x509.Certificate
	for _, der := range ders {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		certificates = append(certificates, certificate)
	}
	text, err := certutil.EncodeCertificates(certificates...)
	if err != nil {
		return err
	}
	return certutil.WriteCert(path, text)
}

func serial() *big.Int {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	if err != nil {
		panic(err)
	}
	return number.Add(number, big.NewInt(1))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
