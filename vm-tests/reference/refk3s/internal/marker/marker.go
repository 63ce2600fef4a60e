// Package marker has the string by which the double's programs, images and
// scripts can be told from K3s' own.
package marker

// Text is uncompressed in every file that refk3s delivers: `grep -a` finds it
// in k3s, install.sh and the archive of images.
const Text = "emts-reference-k3s-test-double"
