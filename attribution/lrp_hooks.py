"""How LRP puts its rules into a model: hooks on modules, a mode for functions outside of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from xaibench.errors import NotApplicable

from .graph import depends_on_input
from .linear_maps import of_call
from .lrp_rules import LrpRule, Propagation, batch_normalisation, surrogate_of_map
from .rules import ModuleCall, module_label, no_rule


def hook_rule(
    path: str, module: nn.Module, rule: LrpRule, propagation: Propagation, running: list[nn.Module]
) -> list[Any]:
    """Put a rule's surrogate in the place of a module's output; parts of it run as they are."""
    signature, in_place = inspect.signature(module.forward), getattr(module, "inplace", False)
    inputs: list[tuple[Tensor, ...]] = []

    def before(module: nn.Module, arguments: Any, keywords: Any) -> Any:
        propagation.ruled.enter()
        running.append(module)
        if len(running) > 1:
            return None
        bound = signature.bind(*arguments, **keywords)
        tensors = [each for each in bound.arguments.values() if isinstance(each, Tensor)]
        inputs.append(tuple(tensors))
        # In place it rewrites a copy: the rule needs what came in.
        return ((tensors[0].clone(),), {}) if in_place else None

    def after(module: nn.Module, arguments: Any, output: Any) -> Any:
        if len(running) == 1:
            call = ModuleCall(module, inputs.pop(), output)
            output = _with_surrogate(path, rule, propagation, call)
            if in_place:  # whoever has the tensor that is rewritten gets the way back too
                output = call.inputs[0].copy_(output)
        running.pop()
        propagation.ruled.leave()
        return output

    before_it = module.register_forward_pre_hook(before, with_kwargs=True)
    return [before_it, module.register_forward_hook(after)]


def _with_surrogate(path: str, rule: LrpRule, propagation: Propagation, call: ModuleCall) -> Tensor:
    """The surrogate of a module's output; one that is refused where a row is no sequence."""
    output, sequences = call.output, len(propagation.bias_unit)
    name = module_label(path, call.module)
    if not isinstance(output, Tensor):
        raise NotApplicable(f"lrp: {name} gives more than the one tensor of a rule")
    if len(output) != sequences:
        message = f"lrp: {name} gives {len(output)} rows for {sequences} sequences"
        refused: Tensor = _refused(propagation, output, NotApplicable(message))
        return refused
    surrogate: Tensor = rule(propagation, call)
    return surrogate


def hook_refusal(
    path: str, module: nn.Module, propagation: Propagation, running: list[nn.Module]
) -> list[Any]:
    """Refuse what a module without a rule gives, once relevance comes back to it."""

    def after(module: nn.Module, arguments: Any, output: Any) -> Any:
        propagation.ruled.leave()
        return output if running else _refused(propagation, output, no_rule("lrp", path, module))

    enter = module.register_forward_pre_hook(lambda *call: propagation.ruled.enter())
    return [enter, module.register_forward_hook(after)]


def _refused(propagation: Propagation, output: Any, error: NotApplicable) -> Any:
    """The output; the error is raised once relevance comes back to it, at once where the output is
    no tensor, which cannot tell."""
    if not isinstance(output, Tensor):
        raise error
    # Taken together with a map behind it, a last map inside would be handed relevance past this.
    propagation.maps.pop(output, None)

    def refuse(gradient: Tensor) -> None:
        raise error

    if output.requires_grad:
        output.register_hook(refuse)  # type: ignore[no-untyped-call]
    return output


class LinearFunctions(TorchFunctionMode):
    """Linear maps outside of modules have the rule of those inside."""

    def __init__(self, propagation: Propagation) -> None:
        super().__init__()
        self.propagation = propagation

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        output = function(*args, **kwargs)
        propagation = self.propagation
        rule = None if propagation.ruled.depth else _rule_of_function(function, args, kwargs)
        if rule is None or len(output) != len(propagation.bias_unit):
            return output  # a row that is no sequence: ``_refuse_linear_maps_outside`` sees it
        propagation.ruled.enter()
        surrogate = rule(propagation, output)
        propagation.ruled.leave()
        return surrogate


_BATCH_NORM = inspect.signature(functional.batch_norm)


def _rule_of_function(
    function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Callable[[Propagation, Tensor], Tensor] | None:
    """``(propagation, output) -> surrogate`` of a call of a linear map; None for any other."""
    if function is not functional.batch_norm:
        linear_map = of_call(function, arguments, keywords)
        return None if linear_map is None else partial(surrogate_of_map, linear_map=linear_map)
    bound = _BATCH_NORM.bind(*arguments, **keywords)
    bound.apply_defaults()
    module = SimpleNamespace(**bound.arguments)
    if module.training or module.running_mean is None or not depends_on_input(module.input):
        return None
    return lambda propagation, output: batch_normalisation(
        propagation, ModuleCall(module, (module.input,), output)
    )
