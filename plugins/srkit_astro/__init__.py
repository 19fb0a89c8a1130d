"""Astronomy: real and simulated pairs, PSFs and noise, FITS, metrics of flux and shape."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_datasets() -> dict[str, str]:
    """Return the data sets of real pairs, simulated lenses and simulated galaxies."""
    return {
        "galaxy_simulation": "srkit_astro.simulation.galaxy_simulation:GalaxySimulation",
        "lens_pairs": "srkit_astro.pairs.dataset:LensPairs",
        "lens_simulation": "srkit_astro.simulation.lens_simulation:LensSimulation",
    }


@hookimpl
def srkit_degradations() -> dict[str, str]:
    """Return the degradations by a telescope."""
    module = "srkit_astro.instruments.degradations"
    return {"hst_to_hsc": f"{module}:HstToHsc", "psf_noise": f"{module}:PsfNoise"}


@hookimpl
def srkit_commands() -> dict[str, str]:
    """Return the commands that make pairs of HSC and HST images, and that validate a model."""
    return {
        "data pair": "srkit_astro.pairing.pair:pair",
        "validate": "srkit_astro.validation.command:validate",
    }


@hookimpl
def srkit_constraints() -> dict[str, str]:
    """Return the conservation of flux, and a deconvolution."""
    return {
        "flux": "srkit_astro.constraints:Flux",
        "richardson_lucy": "srkit_astro.deconvolution:RichardsonLucy",
    }


@hookimpl
def srkit_losses() -> dict[str, str]:
    """Return the loss that suppresses artefacts of adversarial training."""
    return {"artefacts": "srkit_astro.metrics.artefacts:ArtefactLoss"}


@hookimpl
def srkit_metrics() -> dict[str, str]:
    """Return the metrics of flux, shape, detail, sources, artefacts and consistency."""
    return {
        "aperture_flux_error": "srkit_astro.metrics.photometry:ApertureFluxError",
        "artefact_share": "srkit_astro.metrics.artefacts:ArtefactShare",
        "centroid_shift": "srkit_astro.metrics.shapes:CentroidShift",
        "completeness": "srkit_astro.metrics.detection:Completeness",
        "ellipticity_error": "srkit_astro.metrics.shapes:EllipticityError",
        "false_detection_rate": "srkit_astro.metrics.detection:FalseDetectionRate",
        "flux_error": "srkit_astro.metrics.photometry:FluxError",
        "fourier_ring_correlation": "srkit_astro.metrics.spectra:FourierRingCorrelation",
        "fwhm_gain": "srkit_astro.metrics.shapes:FwhmGain",
        "half_light_radius_error": "srkit_astro.metrics.morphology:HalfLightRadiusError",
        "isophotal_flux_error": "srkit_astro.metrics.photometry:IsophotalFluxError",
        "peak_error": "srkit_astro.metrics.photometry:PeakError",
        "power_spectrum_ratio": "srkit_astro.metrics.spectra:PowerSpectrumRatio",
        "reduced_chi_square": "srkit_astro.metrics.consistency:ReducedChiSquare",
        "sersic_index_error": "srkit_astro.metrics.morphology:SersicIndexError",
        "size_error": "srkit_astro.metrics.shapes:SizeError",
    }


@hookimpl
def srkit_stretches() -> dict[str, str]:
    """Return the stretches."""
    module = "srkit_astro.stretches"
    return {"asinh": f"{module}:Asinh", "linear": f"{module}:Linear", "log": f"{module}:Log"}


@hookimpl
def srkit_image_formats() -> dict[str, str]:
    """Return the format FITS."""
    return {"fits": "srkit_astro.observed_fits:ObservedFits"}
