// Package serverless reads s.yaml, the deployment description of Serverless Devs (edition 3.0.0,
// component fc3), and returns the functions it declares.
//
// It resolves vars, template with extend, and the interpolations ${vars.x}, ${env('X','default')} and
// ${config('AccountID')}, then checks every fc3 prop against the limits of Function Compute 3.0. The fc3
// schema lets misspelled props pass; this reader does not. Every error is one line "s.yaml:LINE: what".
//
// Sources: Serverless Devs docs/zh/yaml.md and variables.md; fc3 src/schema.json; Function Compute
// "Limits of usage".
package serverless
