package agent

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/sirupsen/logrus"
)

//go:embed templates/base-v3.toml
var baseV3 string

//go:embed templates/base-v2.toml
var baseV2 string

// sharedParts are the tables that both bases have.
//
//go:embed templates/shared.toml
var sharedParts string

// templateChoice is the containerd template in use.
type templateChoice struct {
	// text is the template, base what `{{ template "base" . }}` stands for.
	text, base string
	// version is the version of containerd's configuration format, 2 or 3.
	version int
}

// chooseTemplate prefers config-v3.toml.tmpl, then config.toml.tmpl over the
// version-2 base, then the built-in version-3 base.
func chooseTemplate(directory string) (templateChoice, error) {
	for _, candidate := range []struct {
		name    string
		base    string
		version int
	}{{"config-v3.toml.tmpl", baseV3, 3}, {"config.toml.tmpl", baseV2, 2}} {
		path := filepath.Join(directory, candidate.name)
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return templateChoice{}, err
		}
		logrus.Infof("Using containerd config template at %s", path)
		return templateChoice{text: string(text), base: candidate.base, version: candidate.version}, nil
	}
	return templateChoice{text: baseV3, base: baseV3, version: 3}, nil
}

// render fills the template. As in K3s a template that does not parse is a
// panic: the process ends with status 2.
func (c templateChoice) render(data templateData) (string, error) {
	parsed := template.Must(template.New("compiled_template").Funcs(templateFunctions).Parse(c.text))
	template.Must(parsed.New("base").Parse(c.base))
	template.Must(parsed.New("shared").Parse(sharedParts))
	var out bytes.Buffer
	if err := parsed.ExecuteTemplate(&out, "compiled_template", data); err != nil {
		return "", err
	}
	return withoutBlankLines(out.String()), nil
}

var templateFunctions = template.FuncMap{
	"filepathjoin": filepath.Join,
	"deschemify":   func(text string) string { return text },
	"toJson": func(value any) string {
		text, _ := json.Marshal(value)
		return string(text)
	},
}

// withoutBlankLines leaves one blank line before each table, as K3s does.
func withoutBlankLines(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if strings.HasPrefix(line, "[") {
			out.WriteByte('\n')
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}
