// Package sandbox runs parsing scripts, which are code of strangers, in child processes. It follows "Raw (transparent) data and
// parsing scripts" of the device protocol; package script decides when a script runs and what its answer means.
//
// A script cannot pass its limits because they do not depend on it:
//
//   - Work is counted in steps. Before a script is compiled, every function and every loop of it gets a counter at its beginning, which
//     costs one step and one more per 16 bytes of its text. The count is the same on a fast, a slow and a busy machine. What would make
//     code without counters (eval, the Function constructor, with, generators, classes) is refused.
//   - What one built-in function does by itself (a regular expression that backtracks, a sort) has no steps. The parent watches the CPU
//     time of the child, and kills it.
//   - Memory: the counters also look at the heap, and the kernel refuses the child more data than its limit (RLIMIT_DATA), which ends it.
//   - The child has no environment, no descriptors but its pipes, and there is nothing in a script's scope that reaches outside.
//
// A child that was killed fails the call that it worked on and nothing else; the next call gets another one. A script that keeps killing
// its children is refused for some time (Throttled).
//
// Every call sees a fresh global scope: nothing that a script leaves behind, in its variables or in the built-in objects, is there in
// the next call. What is kept is the compiled program.
package sandbox
