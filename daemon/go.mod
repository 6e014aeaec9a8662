module parley/daemon

go 1.26

require parley v0.0.0

replace parley => ../
