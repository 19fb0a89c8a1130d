"""``python -m srkit``, which launchers such as ``accelerate launch -m srkit`` need."""

from srkit.cli import main

main()
